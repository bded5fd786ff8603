import io
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile, ImageOps

from metaf2n_tf.data import encoding, images, size
from metaf2n_tf.errors import UserError

RNG = np.random.default_rng(1)
RGB = RNG.integers(0, 256, (7, 9, 3), np.uint8)
ALPHA = RNG.integers(0, 256, (7, 9), np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
DEEP = RNG.integers(0, 65536, (7, 9, 4), np.uint16)


def save(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


def reencode(photo, path):
    """What the photo's own pixels become when they are written as a result."""
    alpha = None if photo.alpha is None else images.to_levels(photo.alpha, photo.depth)
    path.write_bytes(encoding.encode(images.to_levels(photo.rgb, photo.depth), alpha, photo))
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
    path = save(tmp_path / "a.png", RGB, exif=exif, icc_profile=SRGB)
    photo = images.read_photo(path)
    np.testing.assert_array_equal(images.to_levels(photo.rgb), ImageOps.exif_transpose(Image.open(path)))
    reencode(photo, tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as written:
        assert written.info["icc_profile"] == SRGB
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


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("array", [RGB[..., 0], RGB, np.dstack([RGB, ALPHA])], ids=["gray", "rgb", "rgba"])
def test_tiffs_on_their_side(tmp_path, array, orientation):
    path = save(tmp_path / "t.tif", array, tiffinfo={274: orientation})
    exif = Image.Exif()
    exif[274] = orientation
    expected = images.read_photo(save(tmp_path / "t.png", array, exif=exif))
    photo = images.read_photo(path)
    np.testing.assert_array_equal(photo.rgb, expected.rgb)
    assert photo.gray or array.shape[2] == 3 or np.array_equal(photo.alpha, expected.alpha)


def test_tiffs_of_one_bit_and_of_channels_on_their_own(tmp_path):
    bits = RGB[..., 0] > 127
    np.testing.assert_array_equal(images.read_photo(save(tmp_path / "b.tif", bits)).rgb[..., 0], np.float32(bits))
    path = write_tiff(tmp_path / "planes.tif", DEEP[..., :3], 2)
    interleaved = struct.pack("<HHIHH", 284, 3, 1, 1, 0)
    assert interleaved in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(interleaved, struct.pack("<HHIHH", 284, 3, 1, 2, 0)))
    with pytest.raises(UserError, match="each channel on its own. Remedy: save it with the channels interleaved"):
        images.read_photo(path)


def test_claims_of_fax_and_of_webp(tmp_path):
    save(tmp_path / "fax.tif", RGB[..., 0] > 127, compression="group4")
    fax = (tmp_path / "fax.tif").read_bytes()
    for tag in (256, 257, 278):
        at = fax.index(struct.pack("<H", tag) + b"\3\0\1\0\0\0") if struct.pack("<HHI", tag, 3, 1) in fax else -1
        kind, value = (3, struct.pack("<HH", 30000, 0)) if at >= 0 else (4, struct.pack("<I", 30000))
        at = fax.index(struct.pack("<HHI", tag, kind, 1)) + 8
        fax = fax[:at] + value + fax[at + 4 :]
    (tmp_path / "fax.tif").write_bytes(fax)
    save(tmp_path / "a.webp", RGB)
    webp = (tmp_path / "a.webp").read_bytes()
    at = webp.index(b"\x9d\x01\x2a") + 3  # width and height follow
    (tmp_path / "a.webp").write_bytes(webp[:at] + struct.pack("<HH", 16383, 16383) + webp[at + 4 :])
    for name in ("fax.tif", "a.webp"):
        with pytest.raises(UserError, match="its header says .* pixels, too many for"):
            images.read_photo(tmp_path / name)
    flat = save(tmp_path / "flat.webp", np.zeros((3000, 3000, 3), np.uint8))  # as small as an honest one becomes
    assert images.read_photo(flat).size == (3000, 3000)


def test_damaged_exif_is_left_out_and_said_so(tmp_path, monkeypatch, caplog):
    exif = Image.Exif()
    exif[0x010F] = "camera"
    path = save(tmp_path / "a.png", RGB, exif=exif)

    def refuse(_):
        raise ValueError("argument out of range")

    monkeypatch.setattr(Image.Exif, "tobytes", refuse)
    assert images.read_photo(path).exif is None
    assert "its EXIF is damaged (argument out of range)" in caplog.text


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


def chunks(path):
    """`[(kind, body)]` of a PNG."""
    content, at, found = path.read_bytes(), 8, []
    while at < len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        found.append((kind, content[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def write_png(path, levels, color_type, bits, *extra):
    """A PNG by hand, with further chunks."""
    rows = b"".join(b"\0" + row.astype(">u2" if bits == 16 else "u1").tobytes() for row in levels)
    header = struct.pack(">IIBBBBB", levels.shape[1], levels.shape[0], bits, color_type, 0, 0, 0)
    parts = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    parts = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def write_tiff(path, levels, photometric, extra_samples=None, bits=16):
    """An uncompressed little-endian TIFF by hand."""
    height, width, channels = levels.shape
    data = levels.astype(f"<u{bits // 8}").tobytes()
    entries = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, channels, None),
        (259, 3, 1, 1),
        (262, 3, 1, photometric),
    ]
    entries += [(273, 4, 1, None), (277, 3, 1, channels), (278, 4, 1, height), (279, 4, 1, len(data)), (284, 3, 1, 1)]
    entries += [] if extra_samples is None else [(338, 3, 1, extra_samples)]
    end = 8 + 2 + 12 * len(entries) + 4
    content = b"II*\0" + struct.pack("<IH", 8, len(entries))
    for tag, kind, count, value in entries:
        value = {258: end, 273: end + 2 * channels}.get(tag, value)
        packed = struct.pack("<HH", value, 0) if kind == 3 and tag != 258 else struct.pack("<I", value)
        content += struct.pack("<HHI", tag, kind, count) + packed
    path.write_bytes(content + struct.pack("<I", 0) + struct.pack("<H", bits) * channels + data)
    return path


def profile_of(colours):
    """The head of a profile of these colours, which is all that decides whether it fits."""
    return SRGB[:16] + colours + SRGB[20:]


def test_deep_tiff_with_premultiplied_alpha(tmp_path):
    alpha = np.full((7, 9, 1), 32768, np.uint16)
    alpha[0, 0] = 0
    straight = np.where(alpha > 0, RGB.astype(np.uint16) * 257, 0)
    levels = np.dstack([np.rint(straight * (alpha / 65535)).astype(np.uint16), alpha])
    photo = images.read_photo(write_tiff(tmp_path / "p.tif", levels, 2, 1))
    np.testing.assert_allclose(photo.rgb * 65535, straight, atol=1.01)
    np.testing.assert_array_equal(photo.alpha, alpha[..., 0] / np.float32(65535))
    levels[0, 0, 0] = 9  # more than its alpha allows
    photo = images.read_photo(write_tiff(tmp_path / "p.tif", levels, 2, 1))
    assert photo.rgb.max() <= 1


def test_deep_tiff_in_inks_and_with_a_channel_that_is_no_alpha(tmp_path):
    photo = images.read_photo(write_tiff(tmp_path / "rgbx.tif", DEEP, 2, 0))
    assert photo.alpha is None
    np.testing.assert_array_equal(photo.rgb, DEEP[..., :3] / np.float32(65535))
    inks = np.dstack([RGB, 0 * ALPHA])
    photo = images.read_photo(write_tiff(tmp_path / "inks.tif", inks.astype(np.uint16) * 257, 5))
    assert (photo.depth, photo.alpha) == (8, None)
    np.testing.assert_allclose(photo.rgb, 1 - RGB / np.float32(255), atol=0.01)


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_gray_png_with_a_transparent_level(tmp_path, bits):
    if bits == 16:
        gray = DEEP[..., 0]
        path = write_png(tmp_path / "t.png", gray, 0, 16, (b"tRNS", struct.pack(">H", gray[3, 4])))
    else:
        gray = ALPHA[:, :8] >> (8 - bits)
        packed = sum(gray[:, i :: 8 // bits].astype(int) << (8 - bits - bits * i) for i in range(8 // bits))
        path = write_png(tmp_path / "t.png", packed, 0, bits, (b"tRNS", struct.pack(">H", gray[3, 4])))
        content = bytearray(path.read_bytes())
        content[16:20] = struct.pack(">I", 8)  # pixels, not bytes, a row
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
        path.write_bytes(content)
    photo = images.read_photo(path)
    assert photo.gray
    np.testing.assert_array_equal(photo.rgb[..., 0], gray / np.float32(2**bits - 1))
    np.testing.assert_array_equal(photo.alpha, gray != gray[3, 4])


def test_a_profile_must_fit_the_colours(tmp_path, caplog):
    gray, rgb = profile_of(b"GRAY"), SRGB
    deep = np.dstack([DEEP[..., 0], DEEP[..., 3]])
    icc = (b"iCCP", b"p\0\0" + zlib.compress(gray))
    photo = images.read_photo(write_png(tmp_path / "g.png", deep, 4, 16, icc))
    assert (photo.gray, photo.depth, photo.icc) == (True, 16, None)
    assert "g.png: its colour profile is of GRAY and the result is RGB, so it is left out" in caplog.text
    caplog.clear()
    again = reencode(photo, tmp_path / "again.png")
    np.testing.assert_array_equal(again.rgb, photo.rgb)
    np.testing.assert_array_equal(again.alpha, photo.alpha)
    for array in (RGB[..., 0], np.dstack([RGB[..., 0], ALPHA])):
        assert images.read_photo(save(tmp_path / "g8.png", array, icc_profile=gray)).icc == gray
    assert caplog.messages == []
    assert images.read_photo(save(tmp_path / "rgb.tif", RGB, icc_profile=rgb)).icc == rgb
    images.read_rgb8(tmp_path / "g.png")  # nothing is written of it
    assert caplog.messages == []
    for name, array, profile, why in (
        ("one.png", RGB, gray, "is of GRAY and the result is RGB"),
        ("two.png", RGB[..., 0], rgb, "is of RGB and the result is GRAY"),
        ("three.jpg", RGB, b"profile" * 30, "is damaged"),
    ):
        assert images.read_photo(save(tmp_path / name, array, icc_profile=profile)).icc is None
        assert f"{name}: its colour profile {why}, so it is left out" in caplog.text
    lab = write_tiff(tmp_path / "lab.tif", RGB, 8, bits=8)
    Image.open(lab).save(tmp_path / "lab2.tif", icc_profile=profile_of(b"Lab "))
    assert images.read_photo(tmp_path / "lab2.tif").icc is None
    assert "is of Lab and the result is RGB" in caplog.text


def profile_of_inks():
    """A small ICC profile by hand in which cyan prints red: 8-bit tables from CMYK to Lab, two steps an ink."""
    inks = np.indices((2, 2, 2, 2)).reshape(4, -1).T
    lab = [(0 if k else 255 - 60 * (c + m + y), 128 + 90 * c * (1 - k), 128) for c, m, y, k in inks]
    ramp = bytes(range(256))
    matrix = struct.pack(">9i", *(np.eye(3, dtype=int) * 65536).ravel())
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + 4 * ramp + np.uint8(lab).tobytes() + 3 * ramp
    tags = [(b"A2B0", table), (b"wtpt", b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061))]
    tags += [(b"desc", b"desc" + bytes(4) + struct.pack(">I", 5) + b"inks" + bytes(79)), (b"cprt", b"text" + bytes(8))]
    index, data = b"", b""
    for name, body in tags:
        index += name + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    head = bytes(4) + struct.pack(">I", 0x02400000) + b"prtrCMYKLab " + bytes(12) + b"acsp" + bytes(28)
    head = struct.pack(">I", 132 + len(index) + len(data)) + head + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + index + data


def test_inks_are_converted_with_their_profile(tmp_path, caplog):
    cyan = Image.new("CMYK", (9, 7), (255, 0, 0, 0))
    cyan.save(tmp_path / "c.jpg", icc_profile=profile_of_inks(), quality=95)
    photo = images.read_photo(tmp_path / "c.jpg")
    assert photo.icc is None
    assert photo.rgb[3, 3, 0] > 0.9
    assert photo.rgb[3, 3, 1] < 0.5
    assert caplog.messages == []
    for name, profile in (("head", profile_of(b"CMYK")), ("rgb", SRGB)):
        cyan.save(tmp_path / f"{name}.tif", icc_profile=profile)
        np.testing.assert_array_equal(images.read_rgb8(tmp_path / f"{name}.tif")[3, 3], [0, 255, 255])
        assert f"{name}.tif: its profile is none of inks, or damaged" in caplog.text


def test_what_decides_how_a_png_looks_and_is_printed_is_kept(tmp_path):
    looks = [(b"gAMA", struct.pack(">I", 100000)), (b"cHRM", bytes(32)), (b"cICP", b"\1\15\0\1"), (b"sRGB", b"\0")]
    text = [
        (b"tEXt", b"Title\0a"),
        (b"zTXt", b"Long\0\0" + zlib.compress(b"b" * 99)),
        (b"iTXt", b"Name\0\0\0\0\0\xc3\xa9"),
    ]
    xmp = (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x/>")
    size = (b"pHYs", struct.pack(">IIB", 11811, 5000, 1))
    path = write_png(tmp_path / "a.png", RGB, 2, 8, *looks, size, *text, xmp)
    photo = images.read_photo(path)
    large = images.to_levels(photo.rgb).repeat(4, 0).repeat(4, 1)
    (tmp_path / "b.png").write_bytes(encoding.encode(large, None, photo))
    written = chunks(tmp_path / "b.png")
    assert {*looks, *text, xmp} <= {*written}
    assert dict(written)[b"pHYs"] == struct.pack(">IIB", 4 * 11811, 4 * 5000, 1)
    with Image.open(tmp_path / "b.png") as image:
        image.load()
        assert image.text["Name"] == "é"
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = write_png(tmp_path / "turned.png", RGB, 2, 8, size, *text, xmp, (b"eXIf", exif.tobytes()[6:]))
    photo = images.read_photo(turned)
    assert photo.resolution[:2] == (5000, 11811)
    assert xmp not in photo.chunks
    save(tmp_path / "d.jpg", RGB, dpi=(300, 150), comment=b"a\0b")
    reencode(images.read_photo(tmp_path / "d.jpg"), tmp_path / "d.png")
    with Image.open(tmp_path / "d.png") as image:
        assert image.info["dpi"] == pytest.approx((300, 150), rel=1e-4)
        assert image.text == {"Comment": "ab"}
    assert images.read_photo(save(tmp_path / "none.tif", RGB)).resolution is None


@pytest.mark.parametrize("name", ["a.gif", "a.tif", "a.webp", "a.png"])
def test_of_several_frames_the_first_is_used_and_said_so(tmp_path, caplog, name):
    frames = [Image.fromarray(np.roll(RGB, 2 * k, 1)) for k in range(4)]
    options = {"lossless": True} if name == "a.webp" else {}
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
    for _ in range(2):
        rgb = images.read_rgb8(tmp_path / name)
    if name != "a.gif":
        np.testing.assert_array_equal(rgb, RGB)
    assert caplog.messages == [f"{tmp_path / name}: the first of 4 pictures in it is used"]


def test_size_has_one_limit_and_claims_are_checked(tmp_path, monkeypatch):
    """The limit holds for what is read and for what is written; a header alone takes no memory."""
    monkeypatch.setattr(size, "_limit", 2)
    save(tmp_path / "large.png", np.zeros((1001, 2000), np.uint8))
    with pytest.raises(UserError, match=r"large.png: 2000x1001 pixels are more than max_megapixels=2. .*pixels=3"):
        images.read_photo(tmp_path / "large.png")
    with pytest.raises(UserError, match="what is made of it: 2000x1001 pixels are more than"):
        images.write_rgb8(tmp_path / "out.png", np.zeros((1001, 2000, 3), np.uint8))
    assert not (tmp_path / "out.png").exists()
    size.set_max_megapixels(3)
    assert images.read_rgb8(tmp_path / "large.png").shape == (1001, 2000, 3)
    size.set_max_megapixels(size.MAX_MEGAPIXELS)
    write_png(tmp_path / "a.png", np.zeros((0, 30000)), 2, 8)
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[20:24], content[29:33] = struct.pack(">I", 30000), b""
    content[29:29] = struct.pack(">I", zlib.crc32(content[12:29]))
    (tmp_path / "a.png").write_bytes(content)
    write_tiff(tmp_path / "a.tif", RGB, 2, bits=8)
    tiff = bytearray((tmp_path / "a.tif").read_bytes())
    tiff[18:20], tiff[30:32] = struct.pack("<H", 30000), struct.pack("<H", 30000)
    (tmp_path / "a.tif").write_bytes(tiff)
    stream = io.BytesIO()
    Image.fromarray(RGB).save(stream, "JPEG")
    jpeg = bytearray(stream.getvalue())
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", 30000, 30000)
    (tmp_path / "a.jpg").write_bytes(jpeg)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("decoded"))
    for name in ("a.png", "a.tif", "a.jpg"):
        with pytest.raises(UserError, match=f"{name}: its header says 30000x30000 pixels, too many for"):
            images.read_photo(tmp_path / name)


def test_flat_pictures_are_no_false_claims(tmp_path):
    """What compresses best must stay readable."""
    flat = np.full((1500, 1500), 7, np.uint8)
    for name, options in (
        ("a.png", {"compress_level": 9}),
        ("a.gif", {}),
        ("a.jpg", {"quality": 1, "optimize": True, "progressive": True}),
        ("b.jpg", {"quality": 1, "optimize": True}),
        ("lzw.tif", {"compression": "tiff_lzw"}),
        ("deflate.tif", {"compression": "tiff_adobe_deflate"}),
        ("packbits.tif", {"compression": "packbits"}),
        ("a.bmp", {}),
        ("a.pgm", {}),
        ("a.webp", {"lossless": True}),
    ):
        assert images.read_rgb8(save(tmp_path / name, flat, **options)).shape == (1500, 1500, 3)
    save(tmp_path / "one.png", flat > 9, compress_level=9)
    save(tmp_path / "g4.tif", flat > 9, compression="group4")
    assert images.read_rgb8(tmp_path / "one.png").max() == images.read_rgb8(tmp_path / "g4.tif").max() == 0


def test_programs_and_pipes_are_not_opened(tmp_path):
    (tmp_path / "a.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")
    with pytest.raises(UserError, match=r"a.eps: a program in PostScript, which is not run"):
        images.read_photo(tmp_path / "a.eps")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "gone.png").symlink_to("nowhere")
    (tmp_path / "self.png").symlink_to("self.png")
    for name in ("pipe.png", "gone.png", "self.png", "."):
        with pytest.raises(UserError, match="not a readable picture"):
            images.read_photo(tmp_path / name)
