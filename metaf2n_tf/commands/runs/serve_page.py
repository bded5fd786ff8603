"""The page of `metaf2n serve`, in Gradio, which only this module imports."""

import html
import os
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
import numpy as np
from fastapi import FastAPI, Request

from metaf2n_tf.commands import cli
from metaf2n_tf.commands.runs import workbench
from metaf2n_tf.commands.runs.workbench import Made, Opened, StoppedError, Workbench
from metaf2n_tf.data.failures import PICTURE_ERRORS, reason_of
from metaf2n_tf.errors import Argument, Message
from metaf2n_tf.faces.restored import RestoredFace
from metaf2n_tf.upscale.steps import Steps, parse_steps
from metaf2n_tf.wording import counted

_HOUR = 3600
_DAY = 24 * _HOUR
_PLAIN, _UNADAPTED = "the photo, plainly enlarged", "the same network, without learning"
_LABELS = {"fine_tune_num": "Steps", "strength": "Strength"}  # what the page calls these arguments
_DOING = {"steps": "Learning from the faces", "tiles": "Enlarging"}
_TITLE = "MetaF2N"
_INTRODUCTION = f"""# {_TITLE}
Makes a damaged photo four times as large, and learns from the faces in it how to do so. Drop a photo, choose the faces,
and press the button. All is computed by the machine that shows this page, and sent nowhere else."""
_FACES = """### Faces
On the right, each face as it is in the photo, and as it was restored. A restored face is partly invented: it is no
evidence of what a person looks like. Untick those that look wrong."""
# Gradio hands the file over without the name that it has on the user's machine.
_TELL_NAME = "(file, name, opened) => [file, file.orig_name, opened]"
_CSS = """
.gradio-container { max-width: 1200px !important; margin: 0 auto !important; }
#said p { margin: 0; padding: 0.6rem 0.9rem; border-left: 3px solid; border-color: var(--border-color-primary); }
#said p { overflow-wrap: anywhere; }
#said p.wrong { border-color: #b3261e; background: color-mix(in srgb, #b3261e 8%, transparent); }
#said:not(:has(p)) { display: none; }
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


def _heard(bar: gr.Progress) -> Any:
    def heard(what: str, done: int, total: int) -> None:
        bar((done, total), desc=_DOING[what], unit=what)

    return heard


def _wrong(error: Exception, file: Path, name: str) -> str:
    """What hindered the work on a photo, by the name that its owner knows it by."""
    reason = reason_of(error).spelled(_spell).replace(str(file), name)
    return _said(reason if name in reason else f"{name}: {reason}", wrong=True)


def _found_in_words(opened: Opened) -> str:
    found, (height, width) = opened.found, opened.size
    lines = f"{opened.name}: {width}x{height} pixels, {counted(len(found.restored), 'face', 'faces')}."
    if left_out := len(found.unused) + len(found.failed):
        lines += f" {counted(left_out, 'more is', 'more are')} left out, boxed in gray."
    if not found.restored:
        lines += " Without a face it is enlarged as the network is. Faces are found upright only."
    return lines


def _made_in_words(made: Made) -> list[str]:
    record = made.record
    (steps,) = record["steps_used"].values()
    learned = f"learned in {counted(steps, 'step', 'steps')} from {counted(record['faces'], 'face', 'faces')}"
    done = f"Done in {record['seconds']:.0f} seconds, {learned if record['adapted'] else 'nothing was learned'}."
    return [done, *(remark.spelled(_spell) for remark in made.remarks)]


def _pair(face: RestoredFace) -> np.ndarray:
    """A face and its restoration side by side, uint8 (4h, 8w, 3)."""
    size = face.hq.shape[1::-1]
    return np.hstack([cv2.resize(face.lq, size, interpolation=cv2.INTER_NEAREST), face.hq])


def _as_text(steps: Steps) -> str:
    """Steps as the page offers them: the usual `auto:10` is plain `auto`."""
    return "auto" if parse_steps("auto") == [steps] else str(steps)


def _close(opened: Opened | None) -> None:
    if opened:
        opened.close()


class _Page:
    """What the page does; each handler returns what changes, `{component: its new state}`."""

    def __init__(self, bench: Workbench, steps: Steps, strength: float):
        self._bench = bench
        self.opened = gr.State(None, delete_callback=_close)
        gr.Markdown(_INTRODUCTION)
        self.upload = gr.File(label="Photo", height=140, elem_id="photo")
        self.name = gr.Textbox(visible=False)
        self.said = gr.HTML(elem_id="said", padding=False)
        with gr.Column(visible=False) as self.chosen:
            gr.Markdown(_FACES)
            with gr.Row():
                self.photo = gr.Image(label="Photo", interactive=False, buttons=["fullscreen"], elem_id="boxes")
                self.faces = gr.Gallery(
                    label="Faces, restored", columns=2, height=360, object_fit="contain", interactive=False, buttons=[]
                )
            self.ticked = gr.CheckboxGroup(label="Learn from these faces", elem_id="ticked")
            with gr.Row():
                choices = list(dict.fromkeys(["auto", *map(str, range(11)), _as_text(steps)]))
                self.steps = gr.Dropdown(
                    choices,
                    value=_as_text(steps),
                    label="Steps",
                    info="How long to learn. auto finds out what suits the photo; 0 does not learn.",
                    elem_id="steps",
                )
                self.strength = gr.Slider(
                    0, 1, value=strength, step=0.05, label="Strength", info="How much of what was learned is used."
                )
                self.other = gr.Radio(
                    [_PLAIN, _UNADAPTED], value=_PLAIN, label="Compare with", info="The second takes twice the time."
                )
            self.start = gr.Button("Make it four times as large", variant="primary", elem_id="start")
        with gr.Column(visible=False) as self.made:
            self.slider = gr.ImageSlider(label="Result", interactive=False, buttons=["fullscreen"], elem_id="slider")
            self.download = gr.DownloadButton("Download", elem_id="download")

        shared: Any = {"concurrency_id": "bench", "concurrency_limit": 1, "api_visibility": "private"}
        outputs = [self.opened, self.said, self.chosen, self.photo, self.faces, self.ticked, self.made]
        inputs = [self.upload, self.name, self.opened]
        self.upload.upload(self.open, inputs, outputs, js=_TELL_NAME, show_progress_on=self.said, **shared)
        self.upload.clear(self.clear, self.opened, outputs, **shared)
        inputs = [self.opened, self.ticked, self.steps, self.strength, self.other]
        outputs = [self.said, self.made, self.slider, self.download]
        self.start.click(self.make, inputs, outputs, show_progress_on=self.said, **shared)

    def clear(self, opened: Opened | None) -> dict:
        """Forget the photo."""
        _close(opened)
        hidden = gr.update(visible=False)
        return {self.opened: None, self.said: "", self.chosen: hidden, self.made: hidden}

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
            return changes | {self.said: _wrong(error, path, name)}
        faces = opened.found.restored
        indices = [face.face.index for face in faces]
        return changes | {
            self.opened: opened,
            self.said: _said(_found_in_words(opened)),
            self.chosen: gr.update(visible=True),
            self.photo: opened.drawn,
            self.faces: [(_pair(face), f"face {face.face.index}") for face in faces],
            self.ticked: gr.update(
                choices=[(f"face {index}", index) for index in indices], value=indices, visible=bool(indices)
            ),
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
            return {self.said: _said("Drop a photo first.", wrong=True), self.made: hidden}
        try:
            (asked,) = parse_steps(steps)
            made = self._bench.make(opened, ticked, asked, strength, _heard(bar))
            after = workbench.view_of(made.file)
            if other == _PLAIN:
                before = workbench.bicubic(opened, after.shape[:2])
            else:
                before = workbench.view_of(self._bench.make_unadapted(opened, _heard(bar)))
        except PICTURE_ERRORS as error:
            return {self.said: _wrong(error, opened.file, opened.name.name), self.made: hidden}
        except StoppedError:
            return {self.said: _said("The program was ended.", wrong=True), self.made: hidden}
        return {
            self.said: _said(*_made_in_words(made)),
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

    theme = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
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
