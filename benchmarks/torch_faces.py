"""GPEN, RetinaFace and ASFFNet the published way, in PyTorch: the baseline of benchmarks/faces.py, which runs it.

  python benchmarks/torch_faces.py gpen FOLDER

Reads FOLDER/weights.npz (published names and layouts) and FOLDER/input.npy (NCHW), writes FOLDER/output.npy, and
prints the seconds of each run. Needs PyTorch and NumPy, nothing of ours.
"""

import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

RUNS = 4
Params = dict[str, torch.Tensor]


def upfirdn2d(x: torch.Tensor, kernel: torch.Tensor, up: int = 1, pad: tuple[int, int] = (0, 0)) -> torch.Tensor:
    """Zeros between the pixels, zeros around them, then a filter: what GPEN does where there is no CUDA."""
    n, c, h, w = x.shape
    x = F.pad(x.reshape(n * c, 1, h, 1, w, 1), [0, up - 1, 0, 0, 0, up - 1]).reshape(n * c, 1, h * up, w * up)
    x = F.conv2d(F.pad(x, [*pad, *pad]), kernel.flip(0, 1)[None, None])
    return x.reshape(n, c, *x.shape[2:])


def activate(x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Leaky ReLU at constant variance."""
    return F.leaky_relu(x + bias.reshape(1, -1, *[1] * (x.ndim - 2)), 0.2) * math.sqrt(2)


def linear(params: Params, name: str, x: torch.Tensor, lr_mul: float = 1.0) -> torch.Tensor:
    """Equalised matrix, no activation, no bias."""
    weight = params[f"{name}.weight"]
    return x @ (weight * lr_mul / math.sqrt(weight.shape[1])).T


def modulated_conv(
    params: Params, name: str, x: torch.Tensor, style: torch.Tensor, demodulate: bool, upsample: bool
) -> torch.Tensor:
    """One kernel a face, run as groups of one convolution."""
    weight = params[f"{name}.weight"]
    _, cout, cin, k, _ = weight.shape
    n, _, h, w = x.shape
    style = linear(params, f"{name}.modulation", style) + params[f"{name}.modulation.bias"]
    weight = weight * style.reshape(n, 1, cin, 1, 1) / math.sqrt(cin * k * k)
    if demodulate:
        weight = weight * torch.rsqrt(weight.pow(2).sum([2, 3, 4], keepdim=True) + 1e-8)
    x = x.reshape(1, n * cin, h, w)
    if upsample:
        weight = weight.transpose(1, 2).reshape(n * cin, cout, k, k)
        x = F.conv_transpose2d(x, weight, stride=2, groups=n).reshape(n, cout, 2 * h + 1, 2 * w + 1)
        return upfirdn2d(x, params[f"{name}.blur.kernel"], pad=(1, 1))
    x = F.conv2d(x, weight.reshape(n * cout, cin, k, k), padding=k // 2, groups=n)
    return x.reshape(n, cout, h, w)


def gpen(params: Params, x: torch.Tensor) -> torch.Tensor:
    """FullGenerator of face_model/gpen_model.py."""

    def conv(name: str, x: torch.Tensor, stride: int) -> torch.Tensor:
        weight = params[f"{name}.weight"]
        return F.conv2d(x, weight / math.sqrt(weight[0].numel()), stride=stride)

    x = activate(conv("ecd0.0.0", x, 1), params["ecd0.0.1.bias"])
    features = [x]
    while f"ecd{len(features)}.0.1.weight" in params:
        name = f"ecd{len(features)}.0"
        x = upfirdn2d(x, params[f"{name}.0.kernel"], pad=(2, 2))
        x = activate(conv(f"{name}.1", x, 2), params[f"{name}.2.bias"])
        features.append(x)
    features = features[::-1]
    style = activate(linear(params, "final_linear.0", x.flatten(1)), params["final_linear.0.bias"])
    style = style * torch.rsqrt(style.pow(2).mean(1, keepdim=True) + 1e-8)
    for layer in range(1, 9):
        name = f"generator.style.{layer}"
        style = activate(linear(params, name, style, 0.01), params[f"{name}.bias"] * 0.01)

    def styled(name: str, x: torch.Tensor, noise: torch.Tensor, upsample: bool = False) -> torch.Tensor:
        x = modulated_conv(params, f"{name}.conv", x, style, True, upsample)
        x = torch.cat([x, params[f"{name}.noise.weight"] * noise], 1)
        return activate(x, params[f"{name}.activate.bias"])

    def to_rgb(name: str, x: torch.Tensor) -> torch.Tensor:
        return modulated_conv(params, f"{name}.conv", x, style, False, False) + params[f"{name}.bias"]

    x = params["generator.input.input"].repeat(len(x), 1, 1, 1)
    x = styled("generator.conv1", x, features[0])
    rgb = to_rgb("generator.to_rgb1", x)
    for stage, noise in enumerate(features[1:]):
        x = styled(f"generator.convs.{2 * stage}", x, noise, upsample=True)
        x = styled(f"generator.convs.{2 * stage + 1}", x, noise)
        name = f"generator.to_rgbs.{stage}"
        rgb = to_rgb(name, x) + upfirdn2d(rgb, params[f"{name}.upsample.kernel"], up=2, pad=(2, 1))
    return rgb


def retinaface(params: Params, x: torch.Tensor) -> torch.Tensor:
    """RetinaFace on ResNet-50 of Pytorch_Retinaface: boxes, class probabilities and landmarks side by side."""

    def conv_bn(conv: str, norm: str, x: torch.Tensor, stride: int = 1) -> torch.Tensor:
        weight = params[f"{conv}.weight"]
        x = F.conv2d(x, weight, stride=stride, padding=weight.shape[2] // 2)
        leaves = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(params[f"{norm}.{leaf}"] for leaf in leaves))

    x = F.max_pool2d(F.relu(conv_bn("body.conv1", "body.bn1", x, 2)), 3, 2, 1)
    levels = []
    for layer, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            name, stride = f"body.layer{layer}.{block}", 2 if block == 0 and layer > 1 else 1
            y = F.relu(conv_bn(f"{name}.conv1", f"{name}.bn1", x))
            y = F.relu(conv_bn(f"{name}.conv2", f"{name}.bn2", y, stride))
            y = conv_bn(f"{name}.conv3", f"{name}.bn3", y)
            if block == 0:
                x = conv_bn(f"{name}.downsample.0", f"{name}.downsample.1", x, stride)
            x = F.relu(x + y)
        levels.append(x)

    def cell(name: str, x: torch.Tensor) -> torch.Tensor:
        return conv_bn(f"{name}.0", f"{name}.1", x)

    levels = [F.relu(cell(f"fpn.output{i}", x)) for i, x in enumerate(levels[1:], start=1)]
    for i in (1, 0):
        levels[i] = levels[i] + F.interpolate(levels[i + 1], size=levels[i].shape[2:], mode="nearest")
        levels[i] = F.relu(cell(f"fpn.merge{i + 1}", levels[i]))
    rows = []
    for i, x in enumerate(levels):
        name = f"ssh{i + 1}"
        shared = F.relu(cell(f"{name}.conv5X5_1", x))
        by7 = cell(f"{name}.conv7x7_3", F.relu(cell(f"{name}.conv7X7_2", shared)))
        x = F.relu(torch.cat([cell(f"{name}.conv3X3", x), cell(f"{name}.conv5X5_2", shared), by7], 1))
        parts = []
        for head, values in (("BboxHead", 4), ("ClassHead", 2), ("LandmarkHead", 10)):
            y = F.conv2d(x, *(params[f"{head}.{i}.conv1x1.{leaf}"] for leaf in ("weight", "bias")))
            y = y.permute(0, 2, 3, 1).reshape(len(x), -1, values)
            parts.append(F.softmax(y, -1) if values == 2 else y)
        rows.append(torch.cat(parts, -1))
    return torch.cat(rows, 1)


def asffnet(params: Params, x: torch.Tensor) -> torch.Tensor:
    """ASFFNet of models/ASFFNet.py; x is face, exemplar, mask of the landmarks, and the warp at every fourth pixel."""

    def conv(name: str, x: torch.Tensor, dilation: int = 1, stride: int = 1) -> torch.Tensor:
        weight = params[f"{name}.weight"]
        pad = weight.shape[2] // 2 * dilation
        return F.conv2d(x, weight, params.get(f"{name}.bias"), stride, pad, dilation)

    def leaky(name: str, x: torch.Tensor, dilation: int = 1, stride: int = 1) -> torch.Tensor:
        return F.leaky_relu(conv(name, x, dilation, stride), 0.2)

    def two(name: str, x: torch.Tensor, first: int = 1, second: int = 1) -> torch.Tensor:
        return conv(f"{name}.2", leaky(f"{name}.0", x, first), second)

    def features(model: str, x: torch.Tensor) -> torch.Tensor:
        for level, dilations in enumerate(((7, 5), (5, 3), (3, 1)), start=1):
            x = leaky(f"{model}.conv{level}.0", x, stride=min(level, 2))
            for block in (1, 2):
                x = two(f"{model}.stem{level}_{block}.stem", x, *dilations) + x
        return leaky(f"{model}.conv4.0", x)

    def statistics(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x.mean((2, 3), keepdim=True), (x.var((2, 3), keepdim=True) + 1e-5).sqrt()

    def fuse(name: str, x: torch.Tensor) -> torch.Tensor:
        lq, ref = two(f"{name}.DegradedModel", x), two(f"{name}.RefModel", component)
        parts = (("Mask", mask), ("Degraded", lq), ("Ref", ref))
        weight = two(f"{name}.MaskModel", torch.cat([conv(f"{name}.{part}Concat.0", y) for part, y in parts], 1))
        return lq + (ref - lq) * weight

    def up_block(name: str, x: torch.Tensor, dilations: tuple[int, int]) -> torch.Tensor:
        for i, dilation in enumerate(dilations):
            x = x + F.leaky_relu(two(f"{name}.Model{i}", x, dilation, dilation), 0.2)
        return x

    lq, ref = features("LQ_Model", x[:, :3]), features("Ref_Model", x[:, 3:6])
    (lq_mean, lq_std), (ref_mean, ref_std) = statistics(lq), statistics(ref)
    grid = x[:, 7:, ::4, ::4].permute(0, 2, 3, 1)
    component = F.grid_sample((ref - ref_mean) / ref_std * lq_std + lq_mean, grid, mode="bilinear", align_corners=False)
    for layer, block in ((0, 2), (3, 5)):
        component = leaky(f"Component_CModel.model.{layer}", component)
        component = component + F.leaky_relu(two(f"Component_CModel.model.{block}.Model", component), 0.2)
    component = leaky("Component_CModel.model.6", component)
    mask = x[:, 6:7]
    for layer, stride in ((0, 2), (2, 1), (4, 2), (6, 1)):
        mask = leaky(f"Mask_CModel.model.{layer}", mask, stride=stride)
    mask = torch.sigmoid(conv("Mask_CModel.model.8", mask))
    y = lq
    for block in range(4):
        z = y
        for i in (0, 1):
            z = fuse(f"sff_branch.{block}.sff{i}", z)
            z = F.leaky_relu(two(f"sff_branch.{block}.conv{i}", z), 0.2)
        y = y + z
    y = fuse("sff_branch.4", y)
    scales = torch.cat([leaky(f"MSDilate.conv{i}.0", y, 5 - i) for i in range(1, 5)], 1)
    y = two("MSDilate.convi", scales) + y + lq
    y = leaky("UpModel.1", F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=True))
    y = leaky("UpModel.4", up_block("UpModel.3", y, (1, 2)))
    y = F.interpolate(up_block("UpModel.6", y, (1, 2)), scale_factor=2, mode="bilinear", align_corners=True)
    return torch.tanh(conv("UpModel.9", up_block("UpModel.8", y, (1, 1))))


def main(network: str, folder: Path) -> None:
    """Run one of the networks and time it."""
    with np.load(folder / "weights.npz") as arrays:
        params = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    images = torch.from_numpy(np.load(folder / "input.npy"))
    seconds = []
    with torch.no_grad():
        for _ in range(RUNS):
            began = time.monotonic()
            output = {"gpen": gpen, "retinaface": retinaface, "asffnet": asffnet}[network](params, images)
            seconds.append(time.monotonic() - began)
    np.save(folder / "output.npy", output.numpy())
    print(*seconds)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
