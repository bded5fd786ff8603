"""What `metaf2n serve` does with one photo, without its page."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import srvgg_weights
import test_run_upscale
from PIL import Image

from metaf2n_tf.commands.runs import upscale, workbench
from metaf2n_tf.commands.runs.workbench import StoppedError, Workbench
from metaf2n_tf.data import images, size
from metaf2n_tf.errors import UserError
from metaf2n_tf.weights import npz

pytestmark = pytest.mark.usefixtures("speaking")

NAME = "a photo (1) & é.jpg"
OPTIONS = dataclasses.replace(
    test_run_upscale.OPTIONS,
    input_dir=Path(),
    face_dir=None,
    output_dir=Path(),
    tile=64,
    detector="mtcnn",
    restorer="faces_lite",
    suffix="_x4",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory, sample_lq):
    """A photo with two faces and metadata, and a small network."""
    place = tmp_path_factory.mktemp("place")
    face, exif = Image.open(sample_lq), Image.Exif()
    exif[0x010F] = "camera"
    photo = Image.new("RGB", (2 * face.width, face.height))
    photo.paste(face, (0, 0))
    photo.paste(face, (face.width, 0))
    photo.save(place / NAME, exif=exif, quality=95, dpi=(72, 72))
    npz.write_npz(place / "model.npz", srvgg_weights.make_tiny())
    (place / "bench").mkdir()
    return place


@pytest.fixture(scope="module")
def bench(place):
    return Workbench(dataclasses.replace(OPTIONS, model_dir=place / "model.npz"), "CPU", place / "bench")


@pytest.fixture
def opened(bench, place):
    opened = bench.open(place / NAME, NAME)
    yield opened
    opened.close()
    assert list((place / "bench").iterdir()) == []


def heard(*_):
    pass


def of_the_command(place, **changes):
    """What `metaf2n upscale` makes of the photo."""
    options = dataclasses.replace(OPTIONS, model_dir=place / "model.npz", **changes)
    assert upscale.run(dataclasses.replace(options, input_dir=place / NAME, output_dir=place, overwrite=True)) == 0
    return place.joinpath(NAME).with_name("a photo (1) & é_x4.png").read_bytes()


@pytest.mark.parametrize(("steps", "strength"), [(0, 1.0), (2, 1.0), (2, 0.35), ("auto:3", 1.0)])
def test_a_result_is_the_command_s_byte_by_byte(bench, place, opened, steps, strength):
    assert [face.face.index for face in opened.found.restored] == [0, 1]
    made = bench.make(opened, [0, 1], steps, strength, heard)
    assert made.file.name == "a photo (1) & é_x4.png"
    assert made.file.read_bytes() == of_the_command(place, fine_tune_num=[steps], strength=[strength])
    with Image.open(made.file) as result:
        assert result.getexif()[0x010F] == "camera"


def test_so_it_is_with_all_that_is_done_to_a_result(place):
    """Faces are pasted where they were found, also two that are equal."""
    changes = {"paste_faces": True, "color_fix": "lowpass", "outscale": 2.0, "format": "jpg", "quality": 90}
    options = dataclasses.replace(OPTIONS, model_dir=place / "model.npz", **changes)
    bench = Workbench(options, "CPU", place / "bench")
    opened = bench.open(place / NAME, NAME)
    made = bench.make(opened, [0, 1], 1, 1.0, heard)
    assert made.record["faces_pasted"] == 2
    assert upscale.run(dataclasses.replace(options, input_dir=place / NAME, output_dir=place, overwrite=True)) == 0
    assert made.file.read_bytes() == place.joinpath(made.file.name).read_bytes()
    opened.close()


def test_the_ticked_faces_count(bench, place, opened):
    both, first, none = (bench.make(opened, ticked, 2, 1.0, heard) for ticked in ([0, 1], [0], []))
    assert [made.record["faces"] for made in (both, first, none)] == [2, 1, 0]
    losses = [made.record["losses"] for made in (both, first, none)]
    assert losses[0] != losses[1]
    assert losses[2] == []
    assert none.file.read_bytes() == of_the_command(place, fine_tune_num=[0])
    with pytest.raises(UserError, match="strength"):
        bench.make(opened, [0], 1, float("nan"), heard)


def test_photos_do_not_mix(bench, place, opened, sample_lq):
    other = bench.open(sample_lq, NAME)
    made, of_other = bench.make(opened, [0], 1, 1.0, heard), bench.make(other, [0], 1, 1.0, heard)
    assert images.read_rgb8(made.file).shape == (512, 1024, 3)
    assert images.read_rgb8(of_other.file).shape == (512, 512, 3)
    other.close()
    assert made.file.is_file()
    assert not of_other.file.exists()


def test_how_far_it_is_and_that_it_can_be_stopped(bench, opened):
    told = []

    def stop(work, done):
        told.append((work.title, done, work.total))
        if work.title == "tiles":
            opened.stopped.set()

    with pytest.raises(StoppedError):
        bench.make(opened, [0], 1, 1.0, stop)
    assert told == [("steps", 0, 1), ("steps", 1, 1), ("tiles", 0, 8)]
    assert not list((opened.place / "results").iterdir())
    with pytest.raises(StoppedError):
        bench.make(opened, [0], 1, 1.0, heard)
    opened.stopped.clear()
    assert bench.make(opened, [0], 1, 1.0, heard).file.is_file()


def test_stop_counts_while_the_work_waits_in_the_queue(bench, opened):
    pytest.importorskip("gradio", reason="Gradio is not installed: the page was not tested")
    from metaf2n_tf.commands.runs import serve_page

    handlers = {handler.name: handler for handler in serve_page.build(bench, 1, 1.0).fns.values()}
    start, stop, make = (handlers[name] for name in ("_start", "_stop", "make"))
    assert (start.queue, stop.queue, make.trigger_after) == (False, False, start._id)

    def said():
        return next(iter(make.fn(opened, [0], "1", 1.0, "the photo, plainly enlarged").values()))

    start.fn(opened)
    stop.fn(opened)
    assert said() == "<p>Stopped.</p>"
    start.fn(opened)
    assert "Done in" in said()


def test_what_the_format_cannot_keep_is_said_of_every_photo(place):
    options = dataclasses.replace(OPTIONS, model_dir=place / "model.npz", format="jpg")
    bench = Workbench(options, "CPU", place / "bench")
    Image.new("RGBA", (40, 30), (90, 90, 90, 128)).save(place / "glass.png")
    opened = bench.open(place / "glass.png", "glass.png")
    for _ in range(2):
        assert list(map(str, bench.make(opened, [], 0, 1.0, heard).remarks)) == [
            "as JPEG, what is transparent is put on white"
        ]
    opened.close()


def test_the_unadapted_one_is_beside_the_result(bench, place, opened):
    told = []
    made = bench.make(opened, [0, 1], 2, 1.0, heard)
    unadapted = bench.make_unadapted(opened, [0, 1], lambda work, done: told.append((work.title, done)))
    assert told == [("steps", 0), *(("tiles", done) for done in range(9))]
    assert made.file.read_bytes() != unadapted.read_bytes() == of_the_command(place, fine_tune_num=[0])


def test_what_is_shown_is_of_the_size_of_the_result_s_view(bench, opened):
    view = workbench.view_of(bench.make(opened, [], 0, 1.0, heard).file)
    assert view.shape == (512, 1024, 3)
    enlarged = workbench.bicubic(opened, view.shape[:2])
    assert enlarged.shape == view.shape
    np.testing.assert_allclose(enlarged.mean((0, 1)), opened.rgb.mean((0, 1)), atol=1)


@pytest.mark.parametrize("content", [b"", b"%PDF-1.4", "cut"])
def test_what_is_no_photo_leaves_nothing(bench, place, tmp_path, content):
    file = tmp_path / "upload"
    file.write_bytes(place.joinpath(NAME).read_bytes()[:900] if content == "cut" else content)
    with pytest.raises(UserError, match="not a readable picture"):
        bench.open(file, "b.jpg")
    assert list((place / "bench").iterdir()) == []


def test_a_name_that_no_file_can_have_leaves_nothing(bench, place):
    with pytest.raises(UserError, match="cannot be written"):
        bench.open(place / NAME, "x" * 300)
    assert list((place / "bench").iterdir()) == []


def test_a_photo_whose_result_is_too_large_is_refused(bench, tmp_path):
    file = tmp_path / "large.png"
    Image.new("L", (500, 500)).save(file)
    size.set_max_megapixels(3)
    try:
        with pytest.raises(UserError, match="what is made of it: 2000x2000 pixels are more than max_megapixels=3"):
            bench.open(file, "large.png")
    finally:
        size.set_max_megapixels(size.MAX_MEGAPIXELS)


def test_the_bench_can_be_stopped_for_good(place, opened):
    bench = Workbench(dataclasses.replace(OPTIONS, model_dir=place / "model.npz"), "CPU", place / "bench")
    bench.stop()
    with pytest.raises(StoppedError):
        bench.make(opened, [0], 1, 1.0, heard)
