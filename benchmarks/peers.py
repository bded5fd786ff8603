"""The SR networks beside PyTorch, ONNX Runtime, OpenVINO and ncnn on this CPU: seconds, memory, differences.

  python benchmarks/peers.py --peers_python PYTHON    # about 15 minutes on 2 CPU cores; make bench-peers

Every way of computing runs in a process of its own, on the same tiles of the same photo with the same weights. All of
them are loaded first and have run once; then each takes its turn, round after round, so that whatever else the machine
does meets all alike. Ratios are those of one round, and of them the median. The other runtimes read what `metaf2n
export` writes; PyTorch's network is written in its own operations (benchmarks/peer_runtimes.py).
"""

import statistics
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from absl import app, flags
from children import Kept, in_child
from peer_runtimes import NOT_HERE, not_here, serve

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

NETWORKS = {"metaf2n_lite": "pretrained_models/metaf2n_lite.npz", "x4plus": "weights/realesrgan-x4plus.npz"}
OURS = "ours"
WAYS = {
    "ours": (OURS, "float32"),
    "PyTorch": ("pytorch", "float32"),
    "PyTorch, channels_last": ("channels_last", "float32"),
    "ONNX Runtime": ("onnxruntime", "float32"),
    "OpenVINO": ("openvino", "float32"),
    "ncnn": ("ncnn", "float32"),
    "ours, auto": (OURS, "auto"),
    "PyTorch, bfloat16": ("channels_last", "bfloat16"),
    "OpenVINO, bfloat16": ("openvino", "bfloat16"),
    "OpenVINO, float16": ("openvino", "float16"),
    "ncnn, bfloat16": ("ncnn", "bfloat16"),
    "ncnn, float16": ("ncnn", "float16"),
}
_HEADINGS = ("seconds", "ours is", "CPU s", "s/MP", "LQ MP/s", "GB", "difference", "dB")

flags.DEFINE_string("peers_python", sys.executable, "Python interpreter that has what requirements-peers.txt names.")
flags.DEFINE_list("networks", list(NETWORKS), "Networks to measure.")
flags.DEFINE_list("ways", list(dict.fromkeys(way for way, _ in WAYS.values())), "Runtimes to measure beside ours.")
flags.DEFINE_integer("rounds", 5, "How often each takes its turn.", lower_bound=1)
flags.DEFINE_integer("width", 256, "LQ pixels of the photo's width.", lower_bound=32)
flags.DEFINE_integer("height", 192, "LQ pixels of the photo's height.", lower_bound=32)
flags.DEFINE_integer("tile", 128, "LQ pixels of a tile, of all.", lower_bound=32)
flags.DEFINE_multi_string("serve", None, "Run ours: precision, weights, tile, folder (used by the benchmark itself).")


def prepare(weights: Path, size: tuple[int, int], tile: int, folder: Path) -> None:
    """Write the photo, its tiles, and the weights as the others read them."""
    from metaf2n_tf import runtime

    runtime.import_tensorflow()
    from metaf2n_tf import tiles
    from metaf2n_tf.data import images
    from metaf2n_tf.export import export
    from metaf2n_tf.networks import sr
    from metaf2n_tf.weights.load import load_weights

    gt = images.read_rgb8(ROOT / "datasets" / "sample" / "GT" / "grace_hopper.png")
    photo = np.float32(cv2.resize(gt, size, interpolation=cv2.INTER_AREA) / np.float32(255))
    np.save(folder / "photo.npy", photo)
    loaded = load_weights(weights)
    bounds = tiles.areas(photo.shape[:2], tile, sr.receptive_field(loaded.sr), sr.unit(loaded.sr))
    areas = [[[rows.start, rows.stop, cols.start, cols.stop] for rows, cols in area] for area in bounds]
    np.save(folder / "areas.npy", np.array(areas))
    arrays = {name: np.asarray(value, np.float32) for name, value in loaded.sr.items()}
    arrays = {name: x.transpose(3, 2, 0, 1) if x.ndim == 4 else x for name, x in arrays.items()}
    np.savez(folder / "weights.npz", **{name: np.ascontiguousarray(x) for name, x in arrays.items()})
    export(folder / "network.onnx", loaded)
    export(folder / "network.param", loaded)


def run_ours(precision: str, weights: Path, tile: int, folder: Path) -> None:
    """Ours in this process, as `metaf2n upscale` runs it."""
    from metaf2n_tf import runtime

    runtime.import_tensorflow()
    runtime.select_device("-1")
    from metaf2n_tf.upscale.model import MetaF2N

    if precision == "auto" and not runtime.reduced_precisions():
        not_here("float32 on this processor")
    model = MetaF2N(weights, tile=tile, precision=precision)
    photo = np.load(folder / "photo.npy")
    serve(lambda: model.upscale(photo, depth=None), folder / f"{OURS}-{precision}.npy")


def _command(way: str, precision: str, weights: Path, args: flags.FlagValues, folder: Path) -> list[str]:
    if way == OURS:
        given = (precision, weights, args.tile, folder)
        return [sys.executable, __file__, *(part for value in given for part in ("--serve", str(value)))]
    return [args.peers_python, str(Path(__file__).with_name("peer_runtimes.py")), way, precision, str(folder)]


def measure(network: str, args: flags.FlagValues, folder: Path) -> None:
    """Print one network's table."""
    weights = ROOT / NETWORKS[network]
    in_child(prepare, weights, (args.width, args.height), args.tile, folder)
    kept = {}
    for title, (way, precision) in WAYS.items():
        if way == OURS or way in args.ways:
            process = Kept(_command(way, precision, weights, args, folder), NOT_HERE)
            if process.said == "ready":
                process.ask()
                kept[title] = process
            else:
                print(f"{title:26}{process.said}", flush=True)
    rounds = [{title: process.ask() for title, process in kept.items()} for _ in range(args.rounds)]
    memory = {title: process.end() for title, process in kept.items()}
    exact = np.load(folder / f"{OURS}-float32.npy")
    megapixels = args.width * args.height / 1e6
    print(f"{f'{network}, {args.width}x{args.height}':26}" + "".join(f"{heading:>11}" for heading in _HEADINGS))
    for title in kept:
        seconds, used = (statistics.median(round_[title][i] for round_ in rounds) for i in (0, 1))
        ratio = statistics.median(round_["ours"][0] / round_[title][0] for round_ in rounds)
        difference = np.abs(np.load(folder / f"{'-'.join(WAYS[title])}.npy") - exact)
        decibels = -10 * np.log10(np.mean(difference**2)) if difference.any() else np.inf
        figures = f"{seconds:11.2f}{ratio:11.2f}{used:11.2f}{seconds / megapixels:11.0f}{megapixels / seconds:11.4f}"
        print(f"{title:26}{figures}{memory[title]:11.2f}{difference.max():11.1e}{decibels:11.1f}", flush=True)


def main(_: list[str]) -> None:
    """Measure everything, or run ours alone."""
    args = flags.FLAGS
    if args.serve:
        precision, weights, tile, folder = args.serve
        run_ours(precision, Path(weights), int(tile), Path(folder))
        return
    for network in args.networks:
        with tempfile.TemporaryDirectory() as scratch:
            measure(network, args, Path(scratch))


if __name__ == "__main__":
    app.run(main)
