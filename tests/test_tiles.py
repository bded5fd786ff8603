import numpy as np
import pytest
import recipe
import tensorflow as tf

from metaf2n_tf import tiles
from metaf2n_tf.errors import UserError
from metaf2n_tf.networks import rrdbnet


@pytest.mark.parametrize(
    ("length", "tile", "pad"), [(100, 32, 8), (97, 40, 0), (81, 32, 24), (500, 256, 40), (64, 0, 8)]
)
def test_windows_cover_the_axis_once_in_one_size(length, tile, pad):
    windows = list(tiles.split(length, tile, pad))
    covered = np.zeros(length, int)
    for window, kept, inner in windows:
        assert 0 <= window.start <= kept.start < kept.stop <= window.stop <= length
        assert (window.start + inner.start, window.start + inner.stop) == (kept.start, kept.stop)
        assert kept.start - window.start >= min(pad, kept.start)
        assert window.stop - kept.stop >= min(pad, length - kept.stop)
        covered[kept] += 1
    assert (covered == 1).all()
    assert len({window.stop - window.start for window, *_ in windows}) == 1
    assert tile == 0 or len(windows) == 1 or windows[0][0].stop <= tile + 2 * pad


def test_tiles_equal_the_whole_where_padding_covers_the_receptive_field(tiny_sr):
    photo = recipe.image((70, 45, 3), 8)
    whole = tiles.SuperResolver(tile=0)(tiny_sr, photo)
    tiled = tiles.SuperResolver(tile=32, tile_pad=36)(tiny_sr, photo)
    assert whole.shape == (280, 180, 3)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)
    assert np.abs(tiles.SuperResolver(tile=32, tile_pad=0)(tiny_sr, photo) - whole).max() > 1e-3


def test_levels_are_the_rounded_floats(tiny_sr):
    photo = recipe.image((20, 24, 3), 8)
    resolver = tiles.SuperResolver()
    exact = np.clip(resolver(tiny_sr, photo), 0, 1)
    for depth, dtype in ((8, np.uint8), (16, np.uint16)):
        levels = resolver(tiny_sr, photo, depth)
        assert levels.dtype == dtype
        np.testing.assert_array_equal(levels, np.round(exact * (2**depth - 1)))


@pytest.mark.slow
def test_default_padding_is_enough_for_the_real_network(real_params, sample_lq):
    from metaf2n_tf.data.images import read_photo

    photo = read_photo(sample_lq).rgb
    whole = tiles.SuperResolver(tile=0)(real_params, photo, 8).astype(float)
    tiled = tiles.SuperResolver(tile=32)(real_params, photo, 8).astype(float)
    assert 10 * np.log10(255**2 / np.mean((whole - tiled) ** 2)) >= 50


def test_networks_that_differ_in_width_alone_are_told_apart(tiny_sr):
    photo, resolver = recipe.image((20, 24, 3), 8), tiles.SuperResolver()
    wide = recipe.weights(rrdbnet.variable_shapes(2, 12, 4), 5, "tf", 0.6)
    assert list(wide) == list(tiny_sr)
    for params in (tiny_sr, wide):
        np.testing.assert_array_equal(resolver(params, photo), tiles.SuperResolver()(params, photo))


class Failing(tiles.SuperResolver):
    """Runs out of memory on windows of more than `limit` pixels."""

    limit = 60 * 60

    def _forward(self, params, window, precision):
        if window.shape[0] * window.shape[1] > self.limit:
            raise tf.errors.ResourceExhaustedError(None, None, "out of memory")
        return super()._forward(params, window, precision)


def test_out_of_memory_is_retried_in_smaller_tiles(tiny_sr, speaking, capsys):
    photo = recipe.image((90, 50, 3), 8)
    resolver = Failing(tile=0, tile_pad=4)
    tiled = resolver(tiny_sr, photo)
    assert tiled.shape == (360, 200, 3)
    assert resolver.used_tile == 45
    assert "trying tile=45" in capsys.readouterr().err
    small = photo[:40]  # the next one fits, and is made as if it were the first
    np.testing.assert_array_equal(resolver(tiny_sr, small), tiles.SuperResolver(tile=0)(tiny_sr, small))
    assert resolver.used_tile == 0
    Failing.limit = 100
    with pytest.raises(UserError, match="out of memory even in tiles of"):
        resolver(tiny_sr, photo)


class Overflowing(tiles.SuperResolver):
    """Gives NaN in the reduced precisions."""

    broken = ("float16", "bfloat16")

    def _forward(self, params, window, precision):
        out = super()._forward(params, window, "float32")
        return out * np.nan if precision in self.broken else out


def test_non_finite_tiles_are_recomputed_in_float32(tiny_sr, speaking, capsys):
    photo = recipe.image((20, 24, 3), 8)
    expected = tiles.SuperResolver()(tiny_sr, photo)
    np.testing.assert_array_equal(Overflowing(precision="bfloat16")(tiny_sr, photo), expected)
    assert "recomputed in float32" in capsys.readouterr().err
    resolver = Overflowing()
    resolver.broken = ("float32",)
    with pytest.raises(UserError, match="not finite"):
        resolver(tiny_sr, photo)


def test_bfloat16_is_close(tiny_sr):
    photo = recipe.image((20, 24, 3), 8)
    exact, rough = (tiles.SuperResolver(precision=precision)(tiny_sr, photo) for precision in ("float32", "bfloat16"))
    assert 0 < np.abs(exact - rough).max() < 0.05


class Tried(tiles.SuperResolver):
    """Takes `seconds` in each precision, and is off by `error` in the reduced ones."""

    seconds, error = {"float32": 1.0, "bfloat16": 0.5, "float16": 0.4}, 0.001

    def _timed(self, params, window, precision):
        exact = np.full((4, 4, 3), 0.5, np.float32)
        return exact + np.float32(0 if precision == "float32" else self.error), self.seconds[precision]


@pytest.mark.parametrize(
    ("has", "seconds", "error", "expected"),
    [
        ([], {}, 0.001, "float32"),
        (["bfloat16"], {}, 0.001, "bfloat16"),
        (["bfloat16", "float16"], {}, 0.001, "float16"),
        (["bfloat16", "float16"], {"float16": 0.6}, 0.001, "bfloat16"),
        (["bfloat16"], {"bfloat16": 0.95}, 0.001, "float32"),
        (["bfloat16"], {}, 0.0031, "bfloat16"),
        (["bfloat16"], {}, 0.0033, "float32"),
        (["bfloat16"], {}, np.nan, "float32"),
    ],
)
def test_auto_takes_what_is_there_is_faster_and_is_close(
    tiny_sr, monkeypatch, speaking, capsys, has, seconds, error, expected
):
    monkeypatch.setattr(tiles.runtime, "reduced_precisions", lambda: has)
    resolver = Tried(precision="auto")
    resolver.seconds, resolver.error = resolver.seconds | seconds, error
    assert resolver.used_precision is None
    photo = recipe.image((20, 24, 3), 8)
    result = resolver(tiny_sr, photo)
    assert resolver.used_precision == expected
    assert f"precision=auto: {expected}" in capsys.readouterr().err
    np.testing.assert_array_equal(result, tiles.SuperResolver(precision=expected)(tiny_sr, photo))
    resolver.seconds = {}  # chosen once
    resolver(tiny_sr, photo)
    assert capsys.readouterr().err == ""


def test_senseless_tiles_are_refused():
    with pytest.raises(UserError, match="tile=8: at least 32"):
        tiles.SuperResolver(tile=8)
    with pytest.raises(UserError, match="tile_pad=-1"):
        tiles.SuperResolver(tile_pad=-1)


@pytest.mark.parametrize("unit", [1, 4, 8])
@pytest.mark.parametrize(
    ("length", "tile", "pad"), [(300, 64, 40), (301, 45, 9), (97, 32, 32), (120, 32, 40), (33, 32, 0)]
)
def test_windows_start_at_multiples_of_a_unit_and_keep_their_context(length, tile, pad, unit):
    parts = list(tiles.split(length, tile, pad, unit))
    assert [n for _, kept, _ in parts for n in range(kept.start, kept.stop)] == list(range(length))
    for window, kept, inside in parts:
        assert window.start % unit == 0
        assert 0 <= window.start <= max(kept.start - pad, 0)
        assert min(kept.stop + pad, length) <= window.stop <= length
        assert (window.start + inside.start, window.start + inside.stop) == (kept.start, kept.stop)
    assert len({window.stop - window.start for window, *_ in parts}) <= (1 if length % unit == 0 else 2)
