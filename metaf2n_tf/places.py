"""Where things are: the shipped weights, the numbers of the method, the folder of other weights, and the commands."""

import os
import runpy
from pathlib import Path
from typing import Any

from metaf2n_tf.errors import Argument, UserError

_PACKAGE = Path(__file__).resolve().parent
_SCRIPTS = {
    "distill": "scripts/train_kdfsrnet.py",
    "export": "scripts/export_model.py",
    "faces": "generate_test_faces.py",
    "metrics": "calculate_metrics.py",
    "tfrecord": "scripts/generate_tfrecord.py",
    "upscale": "test.py",
    "weights": "scripts/download_weights.py",
}
_VARIABLE = "METAF2N_WEIGHTS"
_HERE = Path("weights")  # in the working directory, as in the published scripts


def _beside(name: str) -> Path:
    """A file that an installed package holds, and that lies beside the package in a checkout."""
    inside = _PACKAGE / name
    return inside if inside.exists() else _PACKAGE.parent / name


def shipped(name: str) -> Path:
    """A file of `pretrained_models/` that comes with this program."""
    return _beside(f"pretrained_models/{name}")


def _in_checkout(name: str) -> bool:
    return (_PACKAGE.parent / _SCRIPTS[name]).is_file()


def command(name: str) -> str:
    """How a command of `metaf2n` is called here: in a checkout, as its script."""
    return f"python {_SCRIPTS[name]}" if _in_checkout(name) else f"metaf2n {name}"


def called(name: str) -> str:
    """What a command of `metaf2n` is called here in a help text: in a checkout, by the name of its script."""
    return Path(_SCRIPTS[name]).name if _in_checkout(name) else f"metaf2n {name}"


def extra(name: str) -> str:
    """How the packages of an extra are installed here: in a checkout, from its pins."""
    pins = f"requirements-{name}.txt"
    return f"pip install -r {pins}" if (_PACKAGE.parent / pins).is_file() else f'pip install "metaf2n_tf[{name}]"'


def read_config(path: Path | None = None) -> dict[str, Any]:
    """The numbers of the method by name, as `config.py` has them.

    Args:
      path: another file of this kind; None for the one that comes with this program.

    Raises:
      UserError: it cannot be read or run, or lacks a name of the one that comes with this program.
    """
    file = path or _beside("config.py")
    try:
        values = runpy.run_path(str(file))
    except Exception as error:  # whatever a user's file does
        raise UserError(Argument("config", file), f": {type(error).__name__}: {error}") from None
    numbers = {name: value for name, value in values.items() if name.isupper()}
    lacking = [name for name in read_config() if name not in numbers] if path else []
    if lacking:
        names = lacking[0] + (f", nor {len(lacking) - 1} other names" if lacking[1:] else "")
        raise UserError(
            Argument("config", file), f": has no {names}. Remedy: start from a copy of {_beside('config.py')}"
        )
    return numbers


def weights_dir() -> Path:
    """The folder of weights: $METAF2N_WEIGHTS, else ./weights where there is one, else one in the user's cache."""
    return _folders()[0]


def _folders() -> list[Path]:
    """Where weights are looked for: the first is the folder of weights.

    A training makes ./weights for its checkpoints, which must not hide what the user's cache holds.
    """
    named = os.environ.get(_VARIABLE)
    if named:
        return [Path(named)]
    import platformdirs

    cache = platformdirs.user_cache_path("metaf2n_tf") / "weights"
    return [_HERE, cache] if _HERE.is_dir() else [cache]


def exists(path: str | Path) -> bool:
    """Whether weights are there: a file, a folder, or a TF1 checkpoint, whose prefix is no file."""
    return os.path.exists(path) or os.path.exists(f"{path}.index")


def find(path: str | Path) -> Path:
    """A path itself; one of the form `weights/NAME` that is not there, in the folder of weights or the user's cache."""
    path = Path(path)
    if path.parts[:1] != _HERE.parts or exists(path):
        return path
    looked_for = [folder.joinpath(*path.parts[1:]) for folder in _folders()]
    return next(filter(exists, looked_for), looked_for[0])
