import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from metaf2n_tf.data import images
from metaf2n_tf.errors import UserError

RNG = np.random.default_rng(1)
RGB = RNG.integers(0, 256, (7, 9, 3), np.uint8)
ALPHA = RNG.integers(0, 256, (7, 9), np.uint8)
DEEP = RNG.integers(0, 65536, (7, 9, 4), np.uint16)


def save(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


def reencode(photo, path):
    """What the photo's own pixels become when they are written as a result."""
    alpha = None if photo.alpha is None else images.to_levels(photo.alpha, photo.depth)
    path.write_bytes(images.encode_png(images.to_levels(photo.rgb, photo.depth), alpha, photo))
    return images.read_photo(path)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp"])
def test_rgb_files(tmp_path, suffix):
    path = save(tmp_path / f"a{suffix}", RGB, **({"lossless": True} if suffix == ".webp" else {}))
    photo = images.read_photo(path)
    np.testing.assert_array_equal(photo.rgb, RGB / np.float32(255))
    assert (photo.size, photo.depth, photo.gray, photo.alpha) == ((7, 9), 8, False, None)


@pytest.mark.parametrize(
    ("array", "gray", "alpha", "depth"),
    [
        (RGB, False, False, 8),
        (RGB[..., 0], True, False, 8),
        (np.dstack([RGB, ALPHA]), False, True, 8),
        (np.dstack([RGB[..., 0], ALPHA]), True, True, 8),
        (DEEP[..., :3], False, False, 16),
        (DEEP[..., 0], True, False, 16),
        (DEEP, False, True, 16),
    ],
)
def test_depth_gray_and_alpha_survive(tmp_path, array, gray, alpha, depth):
    path = tmp_path / "a.png"
    if depth == 16:
        order = [2, 1, 0, 3][: array.shape[-1]] if array.ndim == 3 else slice(None)
        cv2.imwrite(str(path), np.ascontiguousarray(array[..., order]) if array.ndim == 3 else array)
    else:
        save(path, array)
    photo = images.read_photo(path)
    assert (photo.gray, photo.alpha is not None, photo.depth) == (gray, alpha, depth)
    colours = np.atleast_3d(array)
    top = np.float32(2**depth - 1)
    np.testing.assert_array_equal(photo.rgb[..., 0], colours[..., 0] / top)
    if alpha:
        np.testing.assert_array_equal(photo.alpha, colours[..., -1] / top)
    again = reencode(photo, tmp_path / "b.png")
    np.testing.assert_array_equal(again.rgb, photo.rgb)
    assert (again.gray, again.depth) == (gray, depth)
    assert (again.alpha is None) == (photo.alpha is None)


def test_palette_one_bit_and_cmyk(tmp_path):
    Image.fromarray(RGB).quantize(64).save(tmp_path / "p.png")
    expected = np.asarray(Image.open(tmp_path / "p.png").convert("RGB"))
    np.testing.assert_array_equal(images.read_rgb8(tmp_path / "p.png"), expected)
    Image.fromarray(RGB[..., 0] > 99).save(tmp_path / "one.png")
    np.testing.assert_array_equal(images.read_rgb8(tmp_path / "one.png")[..., 0], 255 * (RGB[..., 0] > 99))
    Image.fromarray(RGB).convert("CMYK").save(tmp_path / "c.jpg", icc_profile=b"cmyk" * 40)
    photo = images.read_photo(tmp_path / "c.jpg")
    assert photo.rgb.shape == (7, 9, 3)
    assert photo.icc is None  # it describes inks that are gone


def test_palette_with_transparency_keeps_it(tmp_path):
    image = Image.fromarray(RGB).quantize(8)
    image.save(tmp_path / "t.png", transparency=0)
    expected = np.asarray(Image.open(tmp_path / "t.png").convert("RGBA"))[..., 3]
    np.testing.assert_array_equal(images.read_photo(tmp_path / "t.png").alpha, expected / np.float32(255))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_the_rest_kept(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "camera"
    path = save(tmp_path / "a.png", RGB, exif=exif, icc_profile=b"profile" * 30)
    photo = images.read_photo(path)
    np.testing.assert_array_equal(images.to_levels(photo.rgb), ImageOps.exif_transpose(Image.open(path)))
    reencode(photo, tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as written:
        assert written.info["icc_profile"] == b"profile" * 30
        assert written.getexif().get(0x010F) == "camera"
        assert 0x0112 not in written.getexif()


def test_deep_tiff_whose_white_is_zero(tmp_path):
    cv2.imwrite(str(tmp_path / "g.tif"), DEEP[..., 0], [cv2.IMWRITE_TIFF_COMPRESSION, 1])
    tiff = bytearray((tmp_path / "g.tif").read_bytes())
    with Image.open(tmp_path / "g.tif") as image:
        assert image.tag_v2[0x0106] == 1
    tag = tiff.index(b"\x06\x01\x03\x00\x01\x00\x00\x00\x01\x00")
    tiff[tag + 8] = 0  # photometric: white is zero
    (tmp_path / "w.tif").write_bytes(tiff)
    np.testing.assert_array_equal(
        images.read_photo(tmp_path / "w.tif").rgb[..., 0], (65535 - DEEP[..., 0]) / np.float32(65535)
    )


def test_damaged_exif_is_left_out_and_said_so(tmp_path, monkeypatch, capsys):
    exif = Image.Exif()
    exif[0x010F] = "camera"
    path = save(tmp_path / "a.png", RGB, exif=exif)

    def refuse(_):
        raise ValueError("argument out of range")

    monkeypatch.setattr(Image.Exif, "tobytes", refuse)
    assert images.read_photo(path).exif is None
    assert "its EXIF is damaged (argument out of range)" in capsys.readouterr().err


def damaged_files():
    stream = io.BytesIO()
    Image.fromarray(RGB.repeat(20, 0).repeat(20, 1)).save(stream, "JPEG")
    jpeg = stream.getvalue()
    stream = io.BytesIO()
    Image.fromarray(RGB).save(stream, "PNG")
    return {"cut.jpg": jpeg[:-200], "cut.png": stream.getvalue()[:-60], "empty.png": b"", "text.png": b"hello"}


@pytest.mark.parametrize("name", damaged_files())
def test_broken_files_are_one_clear_line(tmp_path, name):
    (tmp_path / name).write_bytes(damaged_files()[name])
    with pytest.raises(UserError, match=f"{name}: not a readable picture") as caught:
        images.read_photo(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_float_pictures_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "f.tif"), RGB.astype(np.float32))
    with pytest.raises(UserError, match=r"f.tif: "):
        images.read_photo(tmp_path / "f.tif")


def test_levels_are_rounded_and_clipped():
    values = np.array([-0.2, 0.0, 0.4 / 255, 0.6 / 255, 1.0, 3.0])
    assert images.to_levels(values).tolist() == [0, 0, 0, 1, 255, 255]
    assert images.to_levels(values, 16)[-1] == 65535


def test_listing(tmp_path):
    for name in ("b.png", "a.JPG", ".hidden.png", "sub/c.png", "sub/results/d.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def names(*options):
        return [str(file.relative_to(tmp_path)) for file in images.list_photos(tmp_path, *options)]

    (tmp_path / "b.xmp").touch()  # a sidecar is no twin
    assert names((), False) == ["a.JPG", "b.png", "b.xmp", "notes.txt"]
    left_out = [tmp_path / "sub" / ".." / "sub" / "results"]
    assert names(["png", ".jpg"], True, left_out) == ["a.JPG", "b.png", "sub/c.png"]
    (tmp_path / "b.jpeg").touch()
    with pytest.raises(UserError, match="results of one name"):
        names((), False)
    with pytest.raises(UserError, match="no photos"):
        names(["webp"], False)
    with pytest.raises(UserError, match="no such folder"):
        images.list_photos(tmp_path / "nowhere", (), False)
