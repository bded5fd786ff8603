"""The wheel in an environment of its own, outside the checkout: the command, and the README's Python examples."""

import os
import re
import subprocess
import sys
import venv
import zipfile

import pytest
from PIL import Image

import metaf2n_tf
from metaf2n_tf.commands.main import COMMANDS

pytestmark = pytest.mark.slow


def run(*command, cwd, home):
    """Run as a user who has nothing but this environment; returns what is printed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "METAF2N", "XDG"))}
    environment = {**kept, "HOME": str(home)}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory):
    place = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", place, root, cwd=place, home=place)
    return next(place.glob("*.whl"))  # made of the source archive, as `build` does it


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The bin folder of an environment that holds the wheel and what it asks for."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=True)
    run(place / "bin" / "pip", "install", "--quiet", wheel, cwd=place, home=place)
    return place / "bin"


@pytest.fixture
def folder(sample_lq, tmp_path):
    """A user's folder with a photo."""
    Image.open(sample_lq).convert("RGB").save(tmp_path / "photo.jpg", quality=95)
    return tmp_path


def test_what_it_holds(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("config.py", "report/page.html", "report/page.css", "report/page.js"):
        assert f"metaf2n_tf/{name}" in names
    for name in ("metaf2n_lite", "faces_lite"):
        assert f"metaf2n_tf/pretrained_models/{name}.npz" in names
    assert {name.split("/")[0] for name in names} == {"metaf2n_tf", f"metaf2n_tf-{metaf2n_tf.__version__}.dist-info"}


def test_commands(installed, folder):
    assert run(installed / "metaf2n", "--version", cwd=folder, home=folder).split()[-1] == metaf2n_tf.__version__
    listed = run(installed / "metaf2n", "--help", cwd=folder, home=folder)
    assert all(f"  {name} " in listed for name in COMMANDS)
    run(installed / "metaf2n", "weights", "--list", cwd=folder, home=folder)


def test_a_photo(installed, folder):
    run(installed / "metaf2n", "upscale", "photo.jpg", "--detector", "mtcnn", cwd=folder, home=folder)
    with Image.open(folder / "photo.jpg") as photo, Image.open(folder / "photo_x4.png") as result:
        assert result.size == (4 * photo.width, 4 * photo.height)
    assert sorted(path.name for path in folder.iterdir() if path.suffix) == ["photo.jpg", "photo_x4.png"]


def test_readme(installed, folder, root):
    blocks = re.findall(r"```python\n(.*?)```", (root / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    (folder / "example.py").write_text("\n".join(blocks), encoding="utf-8")
    run(installed / "python", "example.py", cwd=folder, home=folder)
    assert (folder / "photo_x4.png").is_file()
