"""The page of `metaf2n serve`, in Gradio, which only this module imports."""

import html
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI, Request
from gradio import themes

from metaf2n_tf.commands import cli
from metaf2n_tf.commands.runs import workbench
from metaf2n_tf.commands.runs.workbench import Heard, Made, Opened, StoppedError, Workbench
from metaf2n_tf.data.failures import PICTURE_ERRORS, reason_of
from metaf2n_tf.errors import Argument, Message
from metaf2n_tf.faces.restored import RestoredFace
from metaf2n_tf.report.pictures import FACE_SIDE, reduce, webp_uri
from metaf2n_tf.upscale.steps import Steps, parse_steps
from metaf2n_tf.wording import counted

_HOUR = 3600
_DAY = 24 * _HOUR
_PLAIN, _UNADAPTED = "the photo, plainly enlarged", "the same network, without learning"
_LABELS = {"fine_tune_num": "Steps", "strength": "Strength"}  # what the page calls these arguments
_DOING = {"steps": "Learning from the faces", "tiles": "Enlarging"}
_TITLE = "MetaF2N"
_INTRODUCTION = f"""# {_TITLE}
Enlarges a damaged photo, and learns from the faces in it how to do so. Drop a photo, choose the faces, and press the
button. All is computed by the machine that shows this page, and sent nowhere else."""
_FACES = """Each face as it is in the photo, and as it was restored. A restored face is partly invented, and no evidence
of what a person looks like: untick those that look wrong."""
# Gradio hands the file over without the name that it has on the user's machine.
_TELL_NAME = "(file, name, opened) => [file, file.orig_name, opened]"
_CSS = """
.gradio-container { max-width: 1200px !important; margin: 0 auto !important; }
.said, .said > div { padding: 0 !important; margin: 0 !important; }
.said p { margin: 0; padding: 0.5rem 0.9rem; border-left: 3px solid; border-color: var(--border-color-primary); }
.said p { overflow-wrap: anywhere; }
.said p.wrong { border-color: #b3261e; background: color-mix(in srgb, #b3261e 8%, transparent); }
.faces { display: flex; flex-wrap: wrap; gap: 0.8rem 1rem; max-height: 360px; overflow-y: auto; }
.faces figure { margin: 0; display: grid; grid-template-columns: auto auto; gap: 2px; }
.faces img { height: 132px; margin: 0; }
.faces img.lq { image-rendering: pixelated; }
.faces figcaption { grid-column: span 2; font-size: 0.85rem; }
"""

# No font, script or anything else of another machine, whatever Gradio's page asks for.
_CONTENT_POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'"
)


def _name_of(path: Path, told: str) -> str:
    """What the user calls a photo, as the browser tells; where that cannot be a file's name, what Gradio made of it."""
    name = os.path.basename(told)
    return name if name.isprintable() and name not in ("", ".", "..") else path.name


def _spell(argument: Argument) -> str:
    label = _LABELS.get(argument.name)
    if label is None:
        return cli.spelled(Message(argument))
    return label if argument.value is None else f"{label}: {argument.value}"


def _said(*lines: str, wrong: bool = False) -> str:
    """Lines to show, as HTML."""
    kind = ' class="wrong" role="alert"' if wrong else ""
    return f"<p{kind}>{'<br>'.join(map(html.escape, lines))}</p>" if lines else ""


def _heard(bar: gr.Progress) -> Heard:
    return lambda work, done: bar(done / work.total if work.total else None, desc=_DOING.get(work.title, work.title))


def _wrong(error: Exception, file: Path, name: str) -> str:
    """What hindered the work on a photo, by the name that its owner knows it by."""
    reason = reason_of(error).spelled(_spell).replace(str(file), name)
    return _said(reason if name in reason else f"{name}: {reason}", wrong=True)


def _found_in_words(opened: Opened) -> str:
    found, (height, width) = opened.found, opened.size
    line = f"{opened.name}: {width}x{height} pixels, {counted(len(found.restored), 'face', 'faces')}."
    if left_out := len(found.unused) + len(found.failed):
        line += f" {counted(left_out, 'more is', 'more are')} left out, boxed in gray."
    if not found.restored:
        line += " So there is nothing to learn from. Faces are found upright only: turn a photo that lies on a side."
    return line


def _made_in_words(made: Made) -> list[str]:
    record = made.record
    (steps,) = record["steps_used"].values()
    learned = f"learned in {counted(steps, 'step', 'steps')} from {counted(record['faces'], 'face', 'faces')}"
    done = f"Done in {record['seconds']:.0f} seconds, {learned if record['adapted'] else 'nothing was learned'}."
    return [done, *(remark.spelled(_spell) for remark in made.remarks)]


def _label(face: RestoredFace) -> str:
    return f"face {face.face.index}"


def _shown(faces: Sequence[RestoredFace]) -> str:
    """The faces beside their restorations, as HTML."""
    figures = []
    for face in faces:
        lq, hq = (webp_uri(reduce(picture, FACE_SIDE)) for picture in (face.lq, face.hq))
        of = _label(face)
        pictures = f'<img class="lq" src="{lq}" alt="{of}"><img src="{hq}" alt="{of}, restored">'
        figures.append(f"<figure>{pictures}<figcaption>{of}</figcaption></figure>")
    return f'<div class="faces">{"".join(figures)}</div>'


def _as_text(steps: Steps) -> str:
    """Steps as the page offers them: the usual `auto:10` is plain `auto`."""
    return "auto" if parse_steps("auto") == [steps] else str(steps)


def _close(opened: Opened | None) -> None:
    if opened:
        opened.close()


def _stop(opened: Opened | None) -> None:
    if opened:
        opened.stopped.set()


class _Page:
    """What the page does; each handler returns what changes, `{component: its new state}`."""

    def __init__(self, bench: Workbench, steps: Steps, strength: float):
        self._bench = bench
        self.opened = gr.State(None, delete_callback=_close)
        gr.Markdown(_INTRODUCTION)
        self.upload = gr.File(label="Photo", height=140, elem_id="photo")
        self.name = gr.Textbox(visible=False)
        self.said = gr.HTML(elem_id="said", elem_classes="said", padding=False, visible=False)
        with gr.Column(visible=False) as self.chosen:
            with gr.Row():
                with gr.Column(scale=2):
                    self.photo = gr.Image(
                        label="Photo", height=360, interactive=False, buttons=["fullscreen"], elem_id="boxes"
                    )
                with gr.Column(scale=3, visible=False) as self.people:
                    gr.Markdown(_FACES)
                    self.faces = gr.HTML(elem_id="faces", padding=False)
                    self.ticked = gr.CheckboxGroup(label="Learn from", elem_id="ticked")
            with gr.Row():
                choices = list(dict.fromkeys(["auto", *map(str, range(11)), _as_text(steps)]))
                self.steps = gr.Dropdown(
                    choices,
                    value=_as_text(steps),
                    label="Steps",
                    info="How long to learn. 0: not at all; auto: as long as suits the photo.",
                    elem_id="steps",
                )
                self.strength = gr.Slider(
                    0, 1, value=strength, step=0.05, label="Strength", info="How much of what was learned is used."
                )
                self.other = gr.Radio(
                    [_PLAIN, _UNADAPTED], value=_PLAIN, label="Compare with", info="The second takes twice the time."
                )
            with gr.Row():
                self.start = gr.Button("Enlarge", variant="primary", scale=4, elem_id="start")
                self.stop = gr.Button("Stop", scale=1, elem_id="stop")
            self.done = gr.HTML(" ", elem_id="done", elem_classes="said", padding=False, min_height=48)
        with gr.Column(visible=False) as self.made:
            self.slider = gr.ImageSlider(label="Result", interactive=False, buttons=["fullscreen"], elem_id="slider")
            self.download = gr.DownloadButton("Download", elem_id="download")

        shared: Any = {"concurrency_id": "bench", "concurrency_limit": 1, "api_visibility": "private"}
        outputs = [self.opened, self.said, self.done, self.chosen, self.photo, self.people, self.faces, self.ticked]
        outputs.append(self.made)
        inputs = [self.upload, self.name, self.opened]
        self.upload.upload(self.open, inputs, outputs, js=_TELL_NAME, show_progress_on=self.upload, **shared)
        self.upload.clear(self.clear, self.opened, outputs, **shared)
        inputs = [self.opened, self.ticked, self.steps, self.strength, self.other]
        outputs = [self.done, self.made, self.slider, self.download]
        self.start.click(self.make, inputs, outputs, show_progress_on=self.done, **shared)
        self.stop.click(_stop, self.opened, queue=False, api_visibility="private")

    def clear(self, opened: Opened | None) -> dict:
        """Forget the photo."""
        _close(opened)
        hidden = gr.update(visible=False)
        return {self.opened: None, self.said: hidden, self.done: "", self.chosen: hidden, self.made: hidden}

    def open(
        self,
        upload: str,
        told: str,
        opened: Opened | None,
        bar: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> dict:
        """Show a photo with its faces."""
        bar(None, desc="Looking for faces")
        changes, path = self.clear(opened), Path(upload)
        name = _name_of(path, told)
        try:
            opened = self._bench.open(path, name)
        except PICTURE_ERRORS as error:
            return changes | {self.said: gr.update(value=_wrong(error, path, name), visible=True)}
        faces = opened.found.restored
        indices = [face.face.index for face in faces]
        return changes | {
            self.opened: opened,
            self.said: gr.update(value=_said(_found_in_words(opened)), visible=True),
            self.chosen: gr.update(visible=True),
            self.photo: opened.drawn,
            self.people: gr.update(visible=bool(faces)),
            self.faces: _shown(faces),
            self.ticked: gr.update(choices=[(_label(face), face.face.index) for face in faces], value=indices),
        }

    def make(
        self,
        opened: Opened | None,
        ticked: list[int],
        steps: str,
        strength: float,
        other: str,
        bar: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> dict:
        """Show the result beside what it is compared with."""
        hidden = gr.update(visible=False)
        if opened is None:
            return {self.done: _said("The photo is no longer here: drop it again.", wrong=True), self.made: hidden}
        try:
            (asked,) = parse_steps(steps)
            made = self._bench.make(opened, ticked, asked, strength, _heard(bar))
            after = workbench.view_of(made.file)
            if other == _PLAIN:
                before = workbench.bicubic(opened, after.shape[:2])
            else:
                before = workbench.view_of(self._bench.make_unadapted(opened, ticked, _heard(bar)))
        except PICTURE_ERRORS as error:
            return {self.done: _wrong(error, opened.file, opened.name.name), self.made: hidden}
        except StoppedError:
            return {self.done: _said("Stopped."), self.made: hidden}
        return {
            self.done: _said(*_made_in_words(made)),
            self.made: gr.update(visible=True),
            self.slider: gr.update(value=(before, after), label=f"Left: {other}. Right: the result."),
            self.download: gr.update(value=made.file, label=f"Download {made.file.name}"),
        }


def build(bench: Workbench, steps: Steps, strength: float) -> gr.Blocks:
    """The page; `steps` and `strength` are what it starts with."""
    with gr.Blocks(title=_TITLE, analytics_enabled=False, delete_cache=(_HOUR, _DAY)) as blocks:
        _Page(bench, steps, strength)
    return blocks


def application(blocks: gr.Blocks, most_bytes: int) -> FastAPI:
    """What a server runs to show the page, which takes files of at most so many bytes."""
    app = FastAPI(openapi_url=None)

    @app.middleware("http")
    async def keep_to_itself(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["Content-Security-Policy"] = _CONTENT_POLICY
        return response

    fonts: Any = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    theme = themes.Default(primary_hue="teal", **fonts).set(block_info_text_color="*neutral_500")
    return gr.mount_gradio_app(
        app,
        blocks,
        "/",
        footer_links=[],
        run_history=False,
        show_error=True,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        max_file_size=most_bytes,
        theme=theme,
        css=_CSS,
    )
