"""KDFSRNet the published way, in PyTorch: the baseline of benchmarks/kdfsrnet.py, which runs it.

  python benchmarks/torch_kdfsrnet.py forward|step FOLDER

Reads FOLDER/student.npz, FOLDER/teacher.npz (published names and layouts) and FOLDER/input.npy (NCHW: LQ, HQ, parsing
map in [0, 1]), writes FOLDER/output.npy: the faces, or the loss of each step; and prints the seconds of each run. Needs
PyTorch and NumPy, nothing of ours.
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

RUNS = 4
Params = dict[str, torch.Tensor]


def kdfsrnet(params: Params, x: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
    """`Student` and `Teacherp` of model/net.py."""

    def conv(name: str, x: torch.Tensor) -> torch.Tensor:
        weight = params[f"{name}.weight"]
        return F.conv2d(x, weight, params[f"{name}.bias"], padding=weight.shape[2] // 2)

    def stage(name: str, x: torch.Tensor) -> torch.Tensor:
        index = 0
        while f"{name}.{index}.body.0.weight" in params:
            body = f"{name}.{index}.body"
            y = conv(f"{body}.2", F.relu(conv(f"{body}.0", x)))
            squeezed = F.relu(conv(f"{body}.3.conv_du.0", F.adaptive_avg_pool2d(y, 1)))
            x = x + y * torch.sigmoid(conv(f"{body}.3.conv_du.2", squeezed))
            index += 1
        return x

    x, features = conv("head.0", x), []
    for level in range(1, 5):
        x = stage(f"down_stage{level}", conv(f"down{level}.1", F.pixel_unshuffle(x, 2)))
        features.append(x)
    x = stage("bottleneck", x)
    features.append(x)
    for level in range(1, 5):
        x = stage(f"up_stage{level}", F.pixel_shuffle(conv(f"up{level}.0", x), 2))
        features.append(x)
    return features, conv("tail.0", x)


def main(what: str, folder: Path) -> None:
    """Run the student, or train it with its teacher for some steps, and time that."""
    torch.set_num_threads(2)
    params = {}
    for network in ("student", "teacher"):
        with np.load(folder / f"{network}.npz") as arrays:
            params[network] = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    lq, hq, parsing = torch.from_numpy(np.load(folder / "input.npy")).split(3, dim=1)
    training = what == "step"
    for value in params["student"].values():
        value.requires_grad_(training)
    optimizer = torch.optim.Adam(params["student"].values(), lr=1e-4, betas=(0.9, 0.99), eps=1e-8)
    seconds, output = [], []
    for _ in range(RUNS):
        began = time.monotonic()
        with torch.set_grad_enabled(training):
            features, faces = kdfsrnet(params["student"], lq)
            if training:
                with torch.no_grad():
                    targets, target = kdfsrnet(params["teacher"], torch.cat([lq, parsing], 1))
                distance = sum(F.l1_loss(*pair) for pair in zip(features, targets, strict=True)) / len(features)
                loss = F.l1_loss(faces, hq) + 10 * distance + 0.1 * F.l1_loss(faces, target)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                output.append(loss.item())
        seconds.append(time.monotonic() - began)
    np.save(folder / "output.npy", np.array(output) if training else faces.numpy())
    print(*seconds)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
