"""What README and docs say: every flag, every command, every example in Python, every link."""

import ast
import dataclasses
import importlib
import itertools
import json
import re
import shlex
import shutil
import subprocess
import sys
import types
from functools import cache
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
import other_programs
import pytest
from commands import ROOT, environment, run
from PIL import Image

import config
from metaf2n_tf.commands.main import COMMANDS
from metaf2n_tf.data import images
from metaf2n_tf.export import export
from metaf2n_tf.faces import folder, restorers
from metaf2n_tf.faces.detect import Face
from metaf2n_tf.networks import sr
from metaf2n_tf.upscale.model import MetaF2N
from metaf2n_tf.weights import npz
from metaf2n_tf.weights.catalogue import CATALOGUE

README, COMMANDS_MD, CONTRIBUTING = ROOT / "README.md", ROOT / "docs" / "commands.md", ROOT / "CONTRIBUTING.md"
DOCUMENTS = [README, *sorted((ROOT / "docs").glob("*.md")), CONTRIBUTING, ROOT / "CHANGELOG.md"]
METAF2N = ("-m", "metaf2n_tf.commands.main")
NO_COMMANDS = {"config.py", "scripts/demo.py", "scripts/train_demo.py", "scripts/kdfsrnet_demo.py"}
NO_SUB_COMMANDS = {"scripts/prepare_lite_data.py"}
MOST_LINES = 150


class Flag(NamedTuple):
    """As a command's --helpxml says; `default` is None where there is none."""

    name: str
    kind: str
    default: str | None
    values: list[str]


@cache
def flags_of(*command):
    """`{"--name" or "-n": Flag}` of a script, or of METAF2N with a sub-command; those of absl left out."""
    done = subprocess.run(
        [sys.executable, *command, "--helpxml"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    flags = {}
    for element in ElementTree.fromstring(done.stdout).iter("flag"):
        if element.findtext("file").startswith("absl."):
            continue
        values = [value.text for value in element.iter("enum_value")]
        flag = Flag(element.findtext("name"), element.findtext("type"), element.findtext("default") or None, values)
        flags[f"--{flag.name}"] = flag
        if short := element.findtext("short_name"):
            flags[f"-{short}"] = flag
    assert flags, done.stderr
    return flags


@cache
def fenced(path):
    """[(language, number of its first line, text)] of a document's blocks of code."""
    blocks, inside = [], None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.startswith("```"):
            if inside:
                inside[2].append(line)
        elif inside:
            blocks.append((inside[0], inside[1], "\n".join(inside[2]) + "\n"))
            inside = None
        else:
            inside = line[3:], number + 1, []
    assert inside is None, f"{path}: a block is not closed"
    return blocks


def lines_of(path, *languages):
    """[(where, words)] of the commands in a document's blocks of these languages."""
    found = []
    for language, first, text in fenced(path):
        if language in languages:
            for number, line in enumerate(text.splitlines(), first):
                if words := shlex.split(line, comments=True):
                    found.append((f"{path.name}:{number}", words))
    return found


def rows_of(text):
    """The cells of the rows of all tables; a bar in backticks would be written `\\|`, and none is."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]


@cache
def sub_commands():
    """`{sub-command: script, or None where metaf2n alone has it}`, from the table at the top of commands.md."""
    scripts = {}
    for name, script, *_ in rows_of(COMMANDS_MD.read_text().split("\n## ")[0])[2:]:
        scripts[re.fullmatch(r"\[`(\w+)`\]\(#\1\)", name)[1]] = script.strip("`") or None
    return scripts


def section(name):
    """What commands.md says of a sub-command."""
    return re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", COMMANDS_MD.read_text(), re.M | re.S)[1]


def test_the_citation_is_of_the_last_release():
    released = re.search(r"^## \[(\d.*?)\] - (.*)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert f"\nversion: {released[1]}\ndate-released: {released[2]}\n" in (ROOT / "CITATION.cff").read_text()


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) < MOST_LINES


def test_every_command_has_a_section():
    there = {path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.py"), *(ROOT / "scripts").glob("*.py")]}
    assert {script for script in sub_commands().values() if script} == there - NO_COMMANDS - NO_SUB_COMMANDS
    assert sub_commands().keys() == COMMANDS.keys()
    for name, script in sub_commands().items():
        assert section(name).strip()
        assert not script or f"({script})" in COMMANDS[name]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_has_the_flags_of_its_command(name):
    flags, told = flags_of(*METAF2N, name), []
    if script := sub_commands()[name]:
        assert flags_of(script) == flags
    for names, default, *_ in rows_of(section(name)):
        row = re.findall(r"`(--?\w+)`", names)
        told += row
        defaults = default.split(", ")
        if len(defaults) == len(row):
            for flag, text in zip(row, defaults, strict=True):
                check_default(flags[flag], text.strip("`"))
    assert sorted(told) == sorted(flags)


@pytest.mark.parametrize(
    "script", ["scripts/prepare_lite_data.py", "benchmarks/held_out.py", "benchmarks/color_fix.py"]
)
def test_other_scripts_have_flags(script):
    assert "--pictures" in flags_of(script)


def check_default(flag, told):
    """Where the table gives a value, not an explanation in words, and the flag has one."""
    if told and " " not in told and flag.default is not None:
        number = r"-?\d+(\.\d+)?(e-?\d+)?"
        same = float(told) == float(flag.default) if re.fullmatch(number, told) else told == flag.default
        assert same, (flag.name, told, flag.default)


def test_a_wrong_default_is_found():
    check_default(Flag("lr", "float", "0.0001", []), "1e-4")
    with pytest.raises(AssertionError):
        check_default(Flag("lr", "float", "0.0001", []), "1e-3")


def names_in(arguments, flags):
    """The arguments that are no flags, as the command reads them; an AssertionError for one it does not have."""
    arguments, names = list(arguments), []
    while arguments:
        word = arguments.pop(0)
        if not word.startswith("-"):
            names.append(word)
            continue
        name, equals, value = word.partition("=")
        if name not in flags and name.startswith("--no") and flags[f"--{name[4:]}"].kind == "bool":
            continue
        assert name in flags, word
        if flags[name].kind == "bool":
            assert not equals, word
            continue
        value = value if equals else arguments.pop(0)
        assert not flags[name].values or value in flags[name].values, (word, value)
        if name == "--set":
            assert hasattr(config, value.partition("=")[0]), value
    return names


def check_line(words):
    """A line of a shell block: a program that is known here, with arguments that it takes."""
    program, *arguments = words
    if program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
        assert all(argument in targets or re.fullmatch(r"[A-Z_]+=.*", argument) for argument in arguments)
        return
    if program == "pip":
        assert arguments[0] == "install"
        assert all((ROOT / file).is_file() for flag, file in itertools.pairwise(arguments) if flag == "-r")
        return
    name, *arguments = arguments
    if program == "python":
        command, sub_command = (name,), {script: sub for sub, script in sub_commands().items()}.get(name)
        assert sub_command or name in NO_SUB_COMMANDS
    else:
        assert program == "metaf2n"
        assert name in COMMANDS
        command, sub_command = (*METAF2N, name), name
    takes = importlib.import_module(f"metaf2n_tf.commands.{sub_command}").TAKES if sub_command else ""
    names = names_in(arguments, flags_of(*command))
    assert not names or takes
    assert sub_command != "weights" or set(names) <= set(CATALOGUE)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_commands_exist(path):
    for where, words in lines_of(path, "sh", "shell"):
        try:
            check_line(words)
        except (AssertionError, KeyError) as error:
            pytest.fail(f"{where}: {' '.join(words)}: {error!r}")


@pytest.mark.parametrize(
    "line",
    [
        "python test.py --confidence 0.9",  # a flag, but of another command
        "python main.py photo.jpg",
        "metaf2n export weights.npz",
        "python nothing.py",
        "metaf2n nothing",
        "metaf2n metrics --niqe matlab",
        "metaf2n faces --nodetector",
        "metaf2n weights nothing",
        "metaf2n train --set NOTHING=1",
        "make nothing",
        "pip install -r nothing.txt",
        "rm -r results",
    ],
)
def test_a_wrong_command_is_found(line):
    with pytest.raises((AssertionError, KeyError)):
        check_line(shlex.split(line))


def slugs(path):
    """The anchors of a document's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.*)", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        file, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = path.parent / file if file else path
        assert target.exists(), link
        assert not anchor or anchor in slugs(target), link


def imports_of(path):
    """The rooms of the package, `data` or `errors`, that a module imports from."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "metaf2n_tf":
            yield from [node.module.split(".")[1]] if "." in node.module else [alias.name for alias in node.names]


def test_imports_run_downhill():
    """In the order of the table of architecture.md, which has every room."""
    rows = rows_of((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))
    order = list(dict.fromkeys(re.findall(r"`metaf2n_tf/(\w+)", "".join(row[0] for row in rows))))
    package = ROOT / "metaf2n_tf"
    rooms = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert set(order) == rooms - {"__init__"}
    for path in package.rglob("*.py"):
        room = path.relative_to(package).parts[0].removesuffix(".py")
        if room in order:
            uphill = [other for other in imports_of(path) if other in order[: order.index(room)]]
            assert not uphill, f"{path}: {uphill}"


@pytest.fixture
def checkout(root, tmp_path):
    """The project in a folder of its own, so that nobody's results are touched."""
    for entry in root.iterdir():
        if not entry.name.startswith(".") and entry.name not in ("results", "datasets"):
            (tmp_path / entry.name).symlink_to(entry)
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "sample").symlink_to(root / "datasets" / "sample")
    return tmp_path


@pytest.mark.slow
def test_the_commands_run(checkout, tmp_path):
    """Those in blocks of `shell`; blocks of `sh` are about files that only a reader has."""
    ran = set()
    for path in DOCUMENTS:
        for where, (program, name, *arguments) in lines_of(path, "shell"):
            assert program == "metaf2n", where
            command = [sys.executable, *METAF2N, name, *arguments]
            done = subprocess.run(
                command, cwd=checkout, capture_output=True, text=True, check=False, env=environment(tmp_path)
            )
            assert done.returncode == 0, f"{where}: {done.stderr}"
            ran.add(name)
    assert ran >= {"upscale", "faces", "metrics", "experiment", "weights", "export", "tfrecord", "preview"}
    results = checkout / "results"
    for made in ("sample", "with_faces"):
        assert images.read_photo(results / made / "grace_hopper.png").size == (512, 512)
    lq, hq = (images.read_photo(results / "faces" / side / "grace_hopper_0.png") for side in ("Face_LQ", "Face_HQ"))
    assert hq.size == (4 * lq.size[0], 4 * lq.size[1])
    for name in ("back400.tfrecord", "whole_face.tfrecord", "back400.png", "meta_batch.png"):
        assert (results / "training" / name).is_file()
    for name in ("sample/metrics.csv", "experiment/report.html", "x4plus_half.npz"):
        assert (results / name).is_file()


def run_blocks(path, names):
    """Run a document's Python in this namespace; an error names the line of the document."""
    for language, first, text in fenced(path):
        if language == "python":
            exec(compile("\n" * (first - 1) + text, str(path), "exec"), names)


def test_the_examples_in_python_run(checkout, monkeypatch, sample_lq):
    monkeypatch.chdir(checkout)
    sample = checkout / "datasets" / "sample"
    Image.open(sample_lq).save("photo.jpg", quality=95)
    Path("LQ").mkdir()
    shutil.copy(sample_lq, "LQ/a.png")
    lq = images.read_rgb8(sample_lq)[40:70, 40:70]
    pair = {folder.LQ: {0: lq}, folder.HQ: {0: lq.repeat(4, axis=0).repeat(4, axis=1)}}
    folder.write_pictures(Path("faces"), Path("a.png"), pair)
    gt = sample / "GT"
    run(checkout, "scripts/generate_tfrecord.py", "--background_input", gt, "--face_input", gt)

    names, others = {}, {path for path in DOCUMENTS if any(block[0] == "python" for block in fenced(path))}
    run_blocks(README, names)
    assert images.read_photo(Path("photo_x4.png")).size == (512, 512)
    assert len(names["faces"]) == 1

    run_blocks(ROOT / "docs" / "architecture.md", names)
    assert [(lq.shape, hq.shape) for lq, hq in names["faces"]] == [((30, 30, 3), (120, 120, 3))]
    assert len(names["adaptation"].losses) == 6
    assert names["steps"] == 5
    assert names["half"].shape == (512, 512, 3)
    assert not np.array_equal(names["half"], names["result"])

    names["gt"] = images.read_rgb8(sample / "GT" / "grace_hopper.png")
    names["picture"], names["other_picture"] = (np.float32(names[name])[None] / 255 for name in ("result", "gt"))
    run_blocks(ROOT / "docs" / "metrics.md", names)
    assert not names["measure"].not_computed
    measured = names["measure"](names["result"], names["gt"]).values
    assert 20 < measured["psnr_y"] < 30
    np.testing.assert_allclose(names["distance"], [measured["lpips"]], atol=1e-5)

    run_blocks(ROOT / "docs" / "training.md", names)
    sides = {"inputa": 32, "labela": 128, "inputb": 64, "labelb": 256, "labela_gt": 128, "labelb_nousm": 256}
    assert names["batch"]._asdict().keys() == sides.keys()
    for name, side in sides.items():
        assert getattr(names["batch"], name).shape == (4, 4, side, side, 3), name
    in_docs = {ROOT / "docs" / f"{name}.md" for name in ("architecture", "metrics", "training")}
    assert others == {README, CONTRIBUTING} | in_docs, "run here what else there is"


def worked_example(what, name):
    """The module of a section of CONTRIBUTING, and the row that goes into its table."""
    text = CONTRIBUTING.read_text().split(f"## A new {what}\n")[1].split("\n## ")[0]
    code, row = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    module = types.ModuleType(name)
    exec(code, vars(module))
    return module, row


def test_the_worked_example_of_a_restorer(monkeypatch, tiny_sr, sample_lq):
    """One module and one row: a restorer from outside is offered, and restores faces of photos and of meta-batches."""
    name = f"{restorers.__name__}.sharpened"
    module, row = worked_example("face restorer", name)
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(restorers.RESTORERS, "sharpened", eval(row, vars(restorers)))
    assert "sharpened (no face restorer, only the SR network's output" in restorers.described(restorers.of_photos())
    assert "sharpened" in restorers.of_batches()
    assert "sharpened" not in restorers.defaults()
    needs = restorers.Needs(sr=lambda: tiny_sr)
    plain, sharpened = (restorers.load(key, None, needs) for key in ("self_ensemble", "sharpened"))

    levels = images.read_rgb8(sample_lq)
    face = Face(0, (40, 40, 71, 71), 0.99, np.zeros((5, 2), np.float32))
    (found,) = sharpened.for_photos(False)(levels, [face], None)
    np.testing.assert_array_equal(found.lq, levels[40:72, 40:72])
    assert found.hq.shape == (128, 128, 3)

    batch = np.stack([levels[:32, :32], levels[40:72, 40:72]])
    restored, other = (loaded.for_batches(128)(batch).numpy() for loaded in (sharpened, plain))
    assert restored.shape == other.shape == (2, 128, 128, 3)
    assert np.var(np.diff(np.float32(restored), axis=1)) > np.var(np.diff(np.float32(other), axis=1))


def test_the_worked_example_of_a_network(monkeypatch, tmp_path, sample_lq):
    """One module and one row: a network from outside is loaded, adapted, used and exported."""
    espcn, row = worked_example("SR network", "espcn")
    network = eval(row, vars(sr) | {"espcn": espcn})
    monkeypatch.setattr(sr, "NETWORKS", (network, *sr.NETWORKS))

    rng, weights = np.random.default_rng(0), tmp_path / "espcn.npz"
    shapes = espcn.variable_shapes(8)
    npz.write_npz(weights, {name: np.float32(rng.normal(0, 0.01, shape)) for name, shape in shapes.items()})
    model = MetaF2N(weights)
    assert "ESPCN, 8 wide" in str(model.weights)
    assert model.tile_pad == 4
    assert model.task_lr == 1e-2
    lq = images.read_rgb8(sample_lq)[40:72, 40:72]
    adaptation = model.adapt([(lq, lq.repeat(4, axis=0).repeat(4, axis=1))], patch_num_per_img=4)
    *_, (steps, params) = adaptation.trajectory([0, 5])
    assert steps == 5
    assert adaptation.losses[-1] < adaptation.losses[0]
    rgb = np.float32(lq) / 255
    whole = espcn.forward(params, rgb[None]).numpy()[0]
    np.testing.assert_allclose(model.upscale(rgb, params, depth=None), whole, atol=1e-5)
    adapted = dataclasses.replace(model.weights, sr={name: value.numpy() for name, value in params.items()})
    for name, program in (("espcn.onnx", other_programs.onnxruntime), ("espcn.param", other_programs.ncnn)):
        export(tmp_path / name, adapted)
        np.testing.assert_allclose(program(tmp_path / name, rgb[None])[0], whole, atol=1e-5)


@pytest.mark.slow
def test_the_notebook_runs(checkout, monkeypatch):
    path = ROOT / "examples" / "adapt_a_photo.ipynb"
    cells = json.loads(path.read_text())["cells"]
    monkeypatch.chdir(checkout)
    monkeypatch.setenv("MPLBACKEND", "agg")
    names = {}
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            assert not cell["outputs"]
            assert cell["execution_count"] is None
            exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
    assert b"grace_hopper" in (checkout / "results" / "notebook" / "report.html").read_bytes()
    assert names["adaptation"].losses[-1] < names["adaptation"].losses[0]
