"""Results in every kind of file, read back by Pillow and OpenCV."""

import io

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, JpegImagePlugin
from PIL.TiffImagePlugin import IFDRational

from metaf2n_tf.data import encoding, images, png, size, tiff
from metaf2n_tf.data.formats import FORMATS, quality_of
from metaf2n_tf.errors import UserError

RNG = np.random.default_rng(1)
RGB = cv2.resize(RNG.integers(0, 256, (7, 9, 3), np.uint8), (36, 28), interpolation=cv2.INTER_CUBIC)
DEEP = RNG.integers(0, 65536, (28, 36, 3), np.uint16)
ALPHA = RNG.integers(0, 256, (28, 36), np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GRAY = SRGB[:16] + b"GRAY" + SRGB[20:]
EXIF, GPS, INTEROPERABILITY = ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo, ExifTags.IFD.Interop
MAKE, DATE, ARTIST = 0x010F, 0x0132, 0x013B
EXPOSURE, TAKEN, WIDTH, HEIGHT, COMMENT = 0x829A, 0x9003, 0xA002, 0xA003, 0x9286
METRE = 1


def photo_of(levels=RGB, **fields):
    """An LQ photo of 9x7 pixels, whose result is of 36x28."""
    depth = 8 * levels.itemsize
    return images.Photo(np.zeros((7, 9, 3), np.float32), depth=depth, **fields)


def decode(content):
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return image


def exif_of(orientation=1):
    exif = Image.Exif()
    exif[MAKE], exif[DATE], exif[0x0112] = "camera", "2020:02:03 04:05:06", orientation
    inner, gps = exif.get_ifd(EXIF), exif.get_ifd(GPS)
    inner.update({EXPOSURE: IFDRational(1, 60), TAKEN: "2020:02:03 04:05:06", WIDTH: 9, HEIGHT: 7})
    inner[COMMENT] = b"ASCII\0\0\0hello"
    gps.update({1: "N", 2: (52.0, 31.0, 12.5)})
    return exif


@pytest.mark.parametrize("name", FORMATS)
def test_colours(name):
    found = np.asarray(decode(encoding.encode(RGB, None, photo_of(), name)))
    assert found.shape == RGB.shape
    off = np.abs(found.astype(int) - RGB)
    assert off.mean() < {"png": 1e-9, "tiff": 1e-9, "jpg": 3, "webp": 10}[name]  # colours of WebP have half the sides


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_depth_gray_and_alpha_are_kept_as_far_as_they_can_be(tmp_path, name, deep, gray, has_alpha):
    """By our own reader, which `metrics` and a second run use; what is lost is in words, and nothing else is."""
    levels = DEEP if deep else RGB
    alpha = ALPHA * levels.dtype.type(257 if deep else 1) if has_alpha else None
    photo = photo_of(levels, gray=gray, alpha=None if alpha is None else alpha[:7, :9] / np.float32(255))
    (tmp_path / "a").write_bytes(encoding.encode(levels, alpha, photo, name, 100 if name in ("jpg", "webp") else None))
    found, kind = images.read_photo(tmp_path / "a"), FORMATS[name]
    lost = encoding.losses(photo, name)
    assert ("16 bits a channel become 8" in lost) == (deep and kind.depth == 8) == (found.depth < 8 * levels.itemsize)
    assert ("what is transparent is put on white" in lost) == (has_alpha and not kind.alpha)
    assert len(lost) == (deep and kind.depth == 8) + (has_alpha and not kind.alpha)
    assert (found.alpha is not None) == (has_alpha and kind.alpha)
    assert found.gray == (gray and kind.gray and not (deep and has_alpha and kind.depth == 16 and kind.alpha))
    expected = levels / np.iinfo(levels.dtype).max
    if gray:
        expected = np.repeat((expected @ [0.299, 0.587, 0.114])[..., None], 3, axis=2)
    if has_alpha and not kind.alpha:
        expected = 1 - (1 - expected) * (ALPHA[..., None] / 255)
    step = 1 / (2**found.depth - 1)
    assert np.abs(found.rgb - expected).max() < (0.04 if name == "jpg" else 1.01 * step)
    if found.alpha is not None:
        np.testing.assert_allclose(found.alpha, ALPHA / 255, atol=1e-6)


def test_transparent_edges_of_a_jpeg_are_white():
    """Not what colours lie under them; opaque ones stay."""
    levels = np.full((28, 36, 3), 40, np.uint8)
    alpha = np.zeros((28, 36), np.uint8)
    alpha[:, 16:] = 255
    found = np.asarray(decode(encoding.encode(levels, alpha, photo_of(alpha=np.zeros((7, 9), np.float32)), "jpg")))
    assert found[:, :14].min() >= 250
    assert np.abs(found[:, 18:].astype(int) - 40).max() <= 3


@pytest.mark.parametrize(
    ("channels", "dtype"),
    [(1, np.uint8), (2, np.uint8), (3, np.uint8), (4, np.uint8)] + [(n, np.uint16) for n in (1, 3, 4)],
)
def test_a_tiff_of_several_strips(tmp_path, monkeypatch, dtype, channels):
    """By Pillow, and by OpenCV, which is the only one of the two to read 16 bits, and multiplies 8 with their alpha."""
    monkeypatch.setattr(tiff, "_STRIP", 500)
    levels = np.dstack([DEEP, DEEP[::-1, ::-1]])[..., :channels].astype(dtype)
    content = tiff.encode(levels, None, None, (300.0, 150.0))
    image = Image.open(io.BytesIO(content))
    assert (image.size, len(image.tag_v2[273]) > 1, image.info["dpi"]) == ((36, 28), True, (300, 150))
    if dtype == np.uint8:
        np.testing.assert_array_equal(np.atleast_3d(np.asarray(image)), levels)
    if channels in (1, 3) or (channels, dtype) == (4, np.uint16):
        read = np.atleast_3d(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED))
        order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
        np.testing.assert_array_equal(read[..., order], levels)


@pytest.mark.parametrize("source", ["JPEG", "PNG", "TIFF", "WEBP", "BigTIFF"])
@pytest.mark.parametrize("name", FORMATS)
def test_exif_reaches_every_format_from_every_format(tmp_path, source, name):
    """Camera, date, exposure, place; not which way the pixels lay, nor how a TIFF's were stored."""
    options = {"exif": exif_of(orientation=6).tobytes(), "icc_profile": SRGB}
    kind = source.removeprefix("Big")
    if source == "BigTIFF":
        options["big_tiff"] = True
    Image.fromarray(RGB[:9, :7]).save(
        tmp_path / "lq", kind, **options, **({} if kind == "WEBP" else {"dpi": (300, 100)})
    )
    photo = images.read_photo(tmp_path / "lq")
    assert photo.size == (7, 9)  # turned
    image = decode(encoding.encode(RGB, None, photo, name))
    found = image.getexif()
    assert (found[MAKE], found[DATE]) == ("camera", "2020:02:03 04:05:06")
    assert 0x0112 not in found
    inner, gps = found.get_ifd(EXIF), found.get_ifd(GPS)
    assert (float(inner[EXPOSURE]), inner[TAKEN]) == (pytest.approx(1 / 60), "2020:02:03 04:05:06")
    assert inner[COMMENT] == b"ASCII\0\0\0hello"
    assert (gps[1], [float(part) for part in gps[2]]) == ("N", [52.0, 31.0, 12.5])
    if name != "png":
        assert (inner[WIDTH], inner[HEIGHT]) == (36, 28)
    if name != "tiff":
        assert not {0x0100, 0x0101, 0x0102, 0x0103, 0x0106, 0x0111, 0x0117} & set(found) or kind != "TIFF"
    assert image.info["icc_profile"] == SRGB
    if kind == "WEBP":
        return
    if name == "webp":
        assert (found[0x011A], found[0x011B], found[0x0128]) == (400, 1200, 2)
    else:
        assert image.info["dpi"] == pytest.approx((400, 1200), abs=0.02)


@pytest.mark.parametrize("name", ["jpg", "webp", "tiff"])
def test_a_resolution_without_exif(name):
    image = decode(encoding.encode(RGB, None, photo_of(resolution=(11811, 11811, METRE)), name))
    found = image.getexif()
    assert (found[0x011A], found[0x011B], found[0x0128]) == (1200, 1200, 2)
    if name != "webp":
        assert image.info["dpi"] == (1200, 1200)
    assert not decode(encoding.encode(RGB, None, photo_of(), "jpg")).getexif()
    for odd in ((1, 2, 0), (1e9, 1e9, METRE)):
        assert encoding.losses(photo_of(resolution=odd), name) == [
            "its resolution, which is no usual number of pixels an inch, is left out"
        ]
        assert 0x011A not in decode(encoding.encode(RGB, None, photo_of(resolution=odd), name)).getexif()


def test_what_is_too_long_for_a_jpeg_is_left_out_and_said():
    exif = exif_of()
    exif.get_ifd(EXIF)[0x927C] = bytes(70000)
    photo = photo_of(exif=exif.tobytes(), icc=SRGB + bytes(255 * 65519), chunks=tuple(png.comment(b"c" * 70000)))
    lost = encoding.losses(photo, "jpg")
    assert [line.split(" bytes ")[-1] for line in lost[:2]] == ["is too long and is left out"] * 2
    assert lost[2:] == ["what it says beside its pixels is left out: text"]
    image = decode(encoding.encode(RGB, None, photo, "jpg"))
    assert (dict(image.getexif()), image.info.get("icc_profile"), image.info.get("comment")) == ({}, None, None)
    for name in ("webp", "tiff"):
        assert encoding.losses(photo, name) == lost[2:]
        image = decode(encoding.encode(RGB, None, photo, name))
        assert (image.getexif()[MAKE], image.info["icc_profile"]) == ("camera", photo.icc)


def test_what_only_a_png_has_is_said():
    chunks = [(b"gAMA", b"\0\1\x86\xa0"), (b"cICP", b"\1\15\0\1"), (b"tEXt", b"Title\0a"), *png.comment(b"hello")]
    said = "what it says beside its pixels is left out: "
    photo = photo_of(chunks=tuple(chunks))
    assert encoding.losses(photo, "png") == []
    assert encoding.losses(photo, "tiff") == [f"{said}gAMA, cICP, text"]
    assert encoding.losses(photo_of(chunks=tuple(chunks), icc=SRGB), "webp") == [f"{said}text"]
    usual = (b"sRGB", b"\0"), (b"gAMA", b"\0\0\xb1\x8f"), *png.comment(b"hello")
    assert encoding.losses(photo_of(chunks=usual), "jpg") == []
    assert decode(encoding.encode(RGB, None, photo_of(chunks=usual), "jpg")).info["comment"] == b"hello"


def test_a_profile_of_gray():
    gray = photo_of(gray=True, icc=GRAY)
    for name in ("png", "jpg", "tiff"):
        assert decode(encoding.encode(RGB, None, gray, name)).info["icc_profile"] == GRAY
    assert encoding.losses(gray, "webp") == ["its colour profile, of GRAY, is left out, as the result is RGB"]
    assert "icc_profile" not in decode(encoding.encode(RGB, None, gray, "webp")).info
    deep = photo_of(DEEP, gray=True, alpha=np.ones((7, 9), np.float32), icc=SRGB)
    assert "its colour profile, of RGB, is left out, as the result is GRAY" in encoding.losses(deep, "jpg")


def test_quality():
    sizes = {
        name: [len(encoding.encode(RGB, None, photo_of(), name, q)) for q in (20, 60, 95)] for name in ("jpg", "webp")
    }
    for name, lengths in sizes.items():
        assert lengths == sorted(set(lengths))
        assert len(encoding.encode(RGB, None, photo_of(), name)) == lengths[-1]
    assert JpegImagePlugin.get_sampling(decode(encoding.encode(RGB, None, photo_of(), "jpg"))) == 0  # 4:4:4
    np.testing.assert_array_equal(np.asarray(decode(encoding.encode(RGB, None, photo_of(), "webp", 100))), RGB)
    for name, quality, message in (
        ("png", 90, "quality=90: PNG files lose nothing. Remedy: leave it out, or format=jpg or webp"),
        ("tiff", 1, "quality=1: TIFF files lose nothing"),
        ("jpg", 0, "quality=0: from 1 to 100"),
        ("webp", 101, "quality=101: from 1 to 100"),
    ):
        with pytest.raises(UserError, match=f"^{message}"):
            quality_of(name, quality)


def test_limits_of_size(monkeypatch):
    for name, longest in (("webp", 16383), ("jpg", 65500)):
        photo = images.Photo(np.zeros((1, 4096, 3), np.float32))
        assert decode(encoding.encode(np.zeros((1, longest, 3), np.uint8), None, photo, name)).size == (longest, 1)
        with pytest.raises(
            UserError, match=rf"{longest + 1}x1 pixels is longer than \w+ files can be \({longest}\). Re"
        ):
            encoding.encode(np.zeros((1, longest + 1, 3), np.uint8), None, photo, name)
    monkeypatch.setattr(tiff, "_LONGEST", 3000)
    with pytest.raises(UserError, match="36x28 pixels takes more bytes than TIFF files can have"):
        encoding.encode(DEEP, None, photo_of(DEEP), "tiff")
    monkeypatch.setattr(size, "_limit", 0)
    with pytest.raises(UserError, match="what is made of it: 36x28 pixels are more than"):
        encoding.encode(RGB, None, photo_of(), "jpg")


def test_16_bits_are_rounded_to_8():
    every = np.arange(65536, dtype=np.uint16)
    np.testing.assert_array_equal(images.to_8bit(every), np.rint(every / 257))
