"""`calculate_metrics.py`: measure a folder of results."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from metaf2n_tf import __version__, progress, runtime
from metaf2n_tf.commands import cli
from metaf2n_tf.data import files, images, listing
from metaf2n_tf.data.failures import PICTURE_ERRORS, reason_of
from metaf2n_tf.errors import Argument, Message, UserError
from metaf2n_tf.metrics import fid, table
from metaf2n_tf.metrics.ground_truth import GroundTruths
from metaf2n_tf.metrics.measure import Measured, Measurer
from metaf2n_tf.networks import inception
from metaf2n_tf.weights.inception import load_inception

CSV, JSON = "metrics.csv", "metrics.json"
_MOST_THREADS = 4  # each holds one picture and what is computed of it


@dataclass(frozen=True)
class Options:
    """The flags of `calculate_metrics.py`."""

    result_dir: Path
    gt_dir: Path | None
    fid_ref_dir: Path | None
    output_dir: Path
    niqe_convention: str
    fid_resize: str
    recursive: bool
    gpu: str | None
    ext: list[str] = field(default_factory=list)


def _measure(measurer: Measurer, gts: GroundTruths | None, path: Path, name: Path) -> Measured:
    """One picture; what is wrong with its ground truth fails the metrics that need one."""
    result = images.read_rgb8(path)
    if gts is None:
        return measurer(result)
    try:
        gt = gts.read(name, result.shape[:2])
    except UserError as error:
        return measurer(result, no_gt=error.message)
    return measurer(result, gt)


def _reasons(measured: Measured) -> dict[str, str]:
    return {metric: cli.spelled(reason) for metric, reason in measured.failed.items()}


def _measure_all(
    measurer: Measurer, gts: GroundTruths | None, results: dict[Path, Path]
) -> Iterator[tuple[Path, Measured | None]]:
    """Yield (name, its values) in order; None for one that cannot be read, which is said."""

    def measure(item: tuple[Path, Path]) -> Measured | str:
        try:
            return _measure(measurer, gts, item[1], item[0])
        except PICTURE_ERRORS as error:
            reason = cli.spelled(reason_of(error))
            return reason if str(item[1]) in reason else f"{item[1]}: {reason}"

    pool = ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1))
    try:
        measured = pool.map(measure, results.items())
        for name, found in progress.each(zip(results, measured, strict=True), "pictures", len(results)):
            if isinstance(found, str):
                cli.say(f"left out: {found}")
            else:
                failed = _reasons(found)
                for reason in dict.fromkeys(failed.values()):
                    metrics = [metric for metric, why in failed.items() if why == reason]
                    cli.say(f"{name}: no {', '.join(metrics)}: {reason}")
            yield name, None if isinstance(found, str) else found
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _fid(options: Options, fid_ref_dir: Path, paths: list[Path]) -> tuple[dict, int]:
    """The FID of readable results, in the form of `table.summarize`, and how many of the reference were unreadable."""
    params = load_inception(fid.WEIGHTS)
    reference = fid.reference_statistics(fid_ref_dir, params, options.fid_resize)
    results = fid.picture_statistics(paths, params, options.fid_resize, "FID's results")
    if results.count is not None and results.count < inception.FEATURES:
        cli.say(
            f"note: FID of {results.count} pictures is biased upwards (a full-rank covariance needs more than "
            f"{inception.FEATURES}): compare it only with FIDs of as many pictures"
        )
    distance = fid.frechet_distance(results.mean, results.covariance, reference.mean, reference.covariance)
    counts = {"count": results.count, "reference_count": reference.count}
    return {"mean": distance, "standard_error": None} | counts, fid.left_out(fid_ref_dir, reference)


def run(options: Options) -> int:
    """Measure a folder, print the means, write `metrics.csv` and `metrics.json`. Returns the exit code."""
    kinds = options.ext or images.PICTURES
    paths = listing.list_files(options.result_dir, kinds, options.recursive, argument="result_dir")
    results = {path.relative_to(options.result_dir): path for path in paths}
    named = ((path, name.with_suffix("")) for name, path in results.items())
    listing.check_names(named, options.output_dir, Message("rename one, or ", Argument("ext")))
    gts = None if options.gt_dir is None else GroundTruths(options.gt_dir, options.recursive)
    if gts is not None and not any(gts.find(name) for name in results):
        raise UserError(f"--gt_dir {options.gt_dir}: none of its names is one of {options.result_dir}")
    if options.fid_ref_dir is not None:
        fid.check_reference(options.fid_ref_dir)
    files.make_folder(options.output_dir)
    with files.alone_in(options.output_dir):
        return _evaluate(options, results, gts)


def _evaluate(options: Options, results: dict[Path, Path], gts: GroundTruths | None) -> int:
    runtime.select_device(options.gpu)
    measurer = Measurer(gts is not None, options.niqe_convention)

    rows, readable, failed = [], [], {}
    for name, measured in _measure_all(measurer, gts, results):
        if measured is None:
            failed[name.as_posix()] = dict.fromkeys(measurer.names, "unreadable")
            continue
        readable.append(results[name])
        rows.append({"picture": name.as_posix()} | measured.values)
        if measured.failed:
            failed[name.as_posix()] = _reasons(measured)
    summaries = {}
    not_computed = {metric: cli.spelled(reason) for metric, reason in measurer.not_computed.items()}
    for metric in measurer.names:
        values = [row[metric] for row in rows if metric in row]
        if values:
            summaries[metric] = table.summarize(values)
        else:
            not_computed[metric] = "no picture of the folder gave a value"
    unused = [] if gts is None else gts.unused(results)
    if unused:
        cli.say_names("ground truths without a result", unused)

    unreadable_reference = 0
    if options.fid_ref_dir is not None:
        name = fid.NAMES[options.fid_resize]
        try:
            summaries[name], unreadable_reference = _fid(options, options.fid_ref_dir, readable)
        except PICTURE_ERRORS as error:
            not_computed[name] = cli.spelled(reason_of(error))

    files.write_bytes(options.output_dir / CSV, table.to_csv(["picture", *measurer.names], rows))
    content = {
        "result_dir": str(options.result_dir),
        "gt_dir": None if options.gt_dir is None else str(options.gt_dir),
        "fid_ref_dir": None if options.fid_ref_dir is None else str(options.fid_ref_dir),
        "pictures": len(rows),
        "metrics": summaries,
        "not_computed": not_computed,
        "failed": failed,
        "ground_truths_without_result": [path.as_posix() for path in unused],
        "version": __version__,
    }
    files.write_bytes(options.output_dir / JSON, table.to_json(content))
    if summaries:
        print(table.format_summary(summaries))
    for metric, reason in not_computed.items():
        cli.say(f"not computed: {metric}: {reason}")
    cli.say(f"{CSV} and {JSON} are in {options.output_dir}")
    return cli.SOME_FAILED if failed or not_computed or unreadable_reference else cli.OK
