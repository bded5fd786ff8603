"""MetaF2N's calculate_metrics.py the published way, timed: the baseline of benchmarks/metrics.py, which runs it.

  python benchmarks/published_metrics.py metrics FOLDER

One picture at a time, each metric reads the files for itself, FID takes batches of 1 from 8 workers. On the CPU, where
the published script sets NIQE to CUDA. "prepare" puts the weights of FOLDER where PyTorch and pyiqa keep what they
download, under $TORCH_HOME; "frechet" times the Frechet distance alone. Needs torch, torchvision, lpips 0.1.4, pyiqa
0.1.6.4, pytorch-fid 0.3.0 and imageio, nothing of ours.
"""

import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

BEGAN = time.monotonic()
BGR_TO_Y_255 = [24.966, 128.553, 65.481]
FID_WORKERS = 8


def prepare(folder: Path) -> None:
    """alexnet.npz, inception.npz and niqe.npz to the files that the packages look for."""
    import scipy.io
    import torch

    downloads = Path(torch.hub.get_dir(), "checkpoints")
    downloads.mkdir(parents=True)
    names = {"alexnet": "alexnet-owt-7be5be79.pth", "inception": "pt_inception-2015-12-05-6726825d.pth"}
    for network, name in names.items():
        with np.load(folder / f"{network}.npz") as arrays:
            state = {variable: torch.from_numpy(arrays[variable]) for variable in arrays.files}
        if network == "alexnet":  # the classifier is read too, though LPIPS has no use for it
            for layer, shape in ((1, (4096, 9216)), (4, (4096, 4096)), (6, (1000, 4096))):
                state[f"classifier.{layer}.weight"] = torch.zeros(shape)
                state[f"classifier.{layer}.bias"] = torch.zeros(shape[0])
        torch.save(state, downloads / name)
    with np.load(folder / "niqe.npz") as arrays:
        params = {"mu_prisparam": arrays["mu_pris_param"], "cov_prisparam": arrays["cov_pris_param"]}
    scipy.io.savemat(downloads / "niqe_modelparameters.mat", params)


def psnr_y(first: np.ndarray, second: np.ndarray) -> float:
    """PSNR on rounded luma, with weights for BGR on RGB."""
    x, y = (np.dot(rgb, BGR_TO_Y_255) / 255 + 16 for rgb in (first, second))
    x, y = (luma.round().astype(np.uint8) / 255 for luma in (x, y))
    error = np.mean((x - y) ** 2)
    return 100.0 if error < 1e-10 else 20 * math.log10(1 / math.sqrt(error))


def measure(folder: Path) -> None:
    """Measure FOLDER/results against FOLDER/GT; seconds of the parts and values to FOLDER/published.json."""
    import imageio.v2 as imageio
    import lpips
    import pyiqa
    import torch
    from pyiqa.utils import imread2tensor
    from pytorch_fid import fid_score

    torch.set_num_threads(os.cpu_count())
    device, paths = torch.device("cpu"), sorted((folder / "results").iterdir())
    seconds, values = {}, {}

    def timed(part: str, function: Callable, *arguments: object) -> object:
        began = time.monotonic()
        result = function(*arguments)
        seconds.setdefault(part, []).append(time.monotonic() - began)
        return result

    def read(path: Path) -> list:
        both = [path, folder / "GT" / path.name]
        tensors = [lpips.im2tensor(lpips.load_image(str(file))) for file in both]
        return [imageio.imread(file) for file in both], tensors, imread2tensor(str(path))[None]

    with torch.no_grad():
        niqe, distance = pyiqa.create_metric("niqe", device=device), lpips.LPIPS(net="alex", verbose=False)
        seconds["start-up"] = [time.monotonic() - BEGAN]
        for path in paths:
            pictures, tensors, picture = timed("reading", read, path)
            found = values.setdefault(path.name, {})
            found["psnr_y_published"] = timed("psnr", psnr_y, *pictures)
            found["lpips"] = timed("lpips", lambda pair=tensors: distance(*pair).item())
            found["niqe_pyiqa"] = timed("niqe", lambda x=picture: niqe(x).item())
    began = time.monotonic()
    network = fid_score.InceptionV3([3]).to(device)
    seconds["start-up"].append(time.monotonic() - began)
    moments = []
    for pictures in ("results", "GT"):  # what calculate_fid_given_paths does
        arguments = (str(folder / pictures), network, 1, 2048, device, FID_WORKERS)
        moments += timed("fid features", fid_score.compute_statistics_of_path, *arguments)
    fid = timed("frechet", fid_score.calculate_frechet_distance, *moments)
    content = {"seconds": seconds, "pictures": values, "fid": float(fid)}
    (folder / "published.json").write_text(json.dumps(content))


def frechet(folder: Path) -> None:
    """Print distance and seconds of the moments in FOLDER/moments.npz."""
    from pytorch_fid.fid_score import calculate_frechet_distance

    with np.load(folder / "moments.npz") as arrays:
        moments = [arrays[name] for name in ("mean_a", "cov_a", "mean_b", "cov_b")]
    began = time.monotonic()
    print(float(calculate_frechet_distance(*moments)), time.monotonic() - began)


if __name__ == "__main__":
    {"prepare": prepare, "metrics": measure, "frechet": frechet}[sys.argv[1]](Path(sys.argv[2]))
