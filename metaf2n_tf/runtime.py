"""The device TensorFlow runs on, and how it is best driven there."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from metaf2n_tf import places
from metaf2n_tf.errors import Argument, UserError

_PROCESSOR = Path("/proc/cpuinfo")
_INSTRUCTIONS = {"bfloat16": {"avx512_bf16", "amx_bf16"}, "float16": {"avx512_fp16", "amx_fp16"}}
_LEAST_CAPABILITY = {"bfloat16": (8, 0), "float16": (7, 0)}  # of NVIDIA GPUs whose tensor cores take them


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Hold back what TensorFlow's libraries print on stderr while they start; shown after all if the start fails."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        stderr = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def import_tensorflow() -> None:
    """Import TensorFlow without its start-up messages, and with the Keras that the package retina-face is made for."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    with quietly():
        import tensorflow  # noqa: F401


def select_device(gpu: str | None) -> str:
    """Choose the device before TensorFlow starts and say which one it is.

    Args:
      gpu: CUDA device id as the published scripts take it, "-1" for the CPU, None for all GPUs, if any.

    Returns:
      "GPU" or "CPU".

    Raises:
      UserError: a GPU was asked for by its id and TensorFlow sees none.
    """
    if gpu is not None:
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    import tensorflow as tf

    with quietly():
        gpus = tf.config.list_physical_devices("GPU")
    if not gpus and gpu not in (None, "-1"):
        raise UserError(
            Argument("gpu", gpu),
            f": TensorFlow sees no such GPU. Remedy: {places.extra('gpu')} and check the driver, or ",
            Argument("gpu", -1),
            " to run on the CPU",
        )
    for device in gpus:
        tf.config.experimental.set_memory_growth(device, True)
    if not gpus:
        # Grappler takes about 2 s over the unrolled gradient graph and, on a CPU, saves nothing in any step.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    return "GPU" if gpus else "CPU"


def reduced_precisions() -> list[str]:
    """The precisions, of bfloat16 and float16, in which the device in use multiplies faster than in float32.

    On a CPU those that Linux says it has the instructions for: on other systems, none.
    """
    import tensorflow as tf

    if gpus := tf.config.list_physical_devices("GPU"):
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
        return [precision for precision, least in _LEAST_CAPABILITY.items() if capability >= least]
    try:
        said = _PROCESSOR.read_text()
    except OSError:
        return []
    has = {word for line in said.splitlines() if line.startswith("flags") for word in line.split()}
    return [precision for precision, names in _INSTRUCTIONS.items() if names & has]


def onednn_in_use() -> bool:
    """Whether TensorFlow's CPU convolutions run on oneDNN (its default on CPUs with AVX-512 VNNI, BF16 or AMX)."""
    from tensorflow.python.util import _pywrap_util_port

    return _pywrap_util_port.IsMklEnabled()


def xla_pays(device: str) -> bool:
    """Whether the blocks of the fine-tuning step are compiled with XLA, which shifts results by a rounding error.

    The kind of device alone decides: what a photo gives must not depend on how many others there are. Measured for the
    published network on 2 CPU cores: compiling costs 2.5 s once; a step then takes 3.0 s instead of 3.7 s where
    TensorFlow has no oneDNN, and 2.7 s instead of 2.3 s where it has. cuDNN is not asked to compete.
    """
    return device == "CPU" and not onednn_in_use()
