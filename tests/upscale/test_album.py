import itertools
from pathlib import Path

import numpy as np
import pytest
import recipe

from metaf2n_tf.data import images
from metaf2n_tf.errors import UserError
from metaf2n_tf.upscale import album, model
from metaf2n_tf.upscale.album import Album
from metaf2n_tf.upscale.patches import draw_patches, seed_of
from metaf2n_tf.weights import npz


def face(height, width, seed=3):
    sides = (height, width), (4 * height, 4 * width)
    return tuple(images.to_levels(recipe.image((*side, 3), seed + more)) for more, side in enumerate(sides))


FACES = {
    Path("b.png"): [face(20, 22), face(30, 20, 5)],
    Path("sub/a.png"): [face(24, 20, 7)],
    Path("none.png"): [],
    Path("small.png"): [face(7, 8, 9)],
    Path("a.jpg"): [face(20, 20, 11)],
}
SMALL = {"patch_size": 32, "patch_num_per_img": 4}


def filled(faces, **options):
    found = Album(**SMALL | options)
    for name, pairs in faces.items():
        found.add(name, pairs)
    return found


def same(found, expected):
    for arrays in zip(found, expected, strict=True):
        np.testing.assert_array_equal(*arrays)


@pytest.mark.parametrize(
    ("text", "found", "most"),
    [("per_photo", "per_photo", 0), ("album", "album:64", 64), ("album:7", "album:7", 7)],
)
def test_adapt_is_one_of_two(text, found, most):
    assert album.parse_adapt(text) == found
    assert album.most_of_a_photo(found) == most


@pytest.mark.parametrize("text", ["", "albums", "album:", "album:0", "album:-1", "album:1e3", "album:" + "9" * 5000])
def test_adapt_is_nothing_else(text):
    with pytest.raises(UserError, match="expected per_photo, album, or album:N"):
        album.parse_adapt(text)


@pytest.mark.parametrize("auto", [False, True])
@pytest.mark.parametrize("pairs", FACES.values(), ids=map(str, FACES))
def test_an_album_of_one_photo_is_the_photo(tmp_path, tiny_sr, pairs, auto):
    npz.write_npz(tmp_path / "w.npz", tiny_sr)
    one, asked = model.MetaF2N(tmp_path / "w.npz"), ["auto:2"] if auto else [0, 1, 2]
    alone = one.adapt(pairs, **SMALL, seed=seed_of(3, Path("x.png")), auto=auto)
    together = one.adapt_together(filled({Path("x.png"): pairs}, seed=3, auto=auto))
    for (*given, params), (*expected, expected_params) in zip(
        together.results(asked), alone.results(asked), strict=True
    ):
        assert given == expected
        same(params.values(), expected_params.values())
    assert together.losses == alone.losses
    assert together.held_out_losses == alone.held_out_losses


@pytest.mark.parametrize("auto", [False, True])
@pytest.mark.parametrize("most", [1 << 18, 64 * 7, 64 * 2])
def test_the_order_of_the_photos_does_not_matter(monkeypatch, most, auto):
    """Nor which of them went when there were too many patches."""
    monkeypatch.setattr(album, "_MOST_PIXELS", most)
    (first, first_judges), *others = [
        filled(dict(faces), of_a_photo=3, auto=auto).patches for faces in itertools.permutations(FACES.items())
    ][::17]
    assert len(first[0]) == len(first[1]) == min(most // 64, 9)
    for patches, judges in others:
        same(patches, first)
        same(judges, first_judges)


def test_patches_are_those_of_the_photos_in_the_order_of_their_names():
    patches, judges = filled(FACES).patches
    drawn = [
        draw_patches(FACES[Path(name)], 32, 4, seed_of(0, Path(name)), False)
        for name in ("a.jpg", "b.png", "sub/a.png")
    ]
    same(patches, [np.concatenate([one[0][side] for one in drawn]) for side in (0, 1)])
    same(judges, [np.concatenate([one[1][side] for one in drawn]) for side in (0, 1)])


def test_each_photo_gives_equally_many(monkeypatch):
    """Here 40 photos, one of them with ten faces, for 8 patches, and two photos for them: 4 of each."""
    monkeypatch.setattr(album, "_MOST_PIXELS", 64 * 8)
    shades = {Path(f"{number}.png"): np.full((20, 20, 3), 6 * number, np.uint8) for number in range(40)}
    faces = {name: [(lq, lq.repeat(4, 0).repeat(4, 1))] * (10 if lq.max() == 0 else 1) for name, lq in shades.items()}
    for count, times in ((40, 1), (2, 4)):
        (lq, hq), judges = filled(dict(list(faces.items())[:count])).patches
        values, found = np.unique(lq[:, 0, 0, 0], return_counts=True)
        assert (len(values), set(found)) == (8 // times, {times})
        np.testing.assert_array_equal(hq[:, 0, 0, 0], lq[:, 0, 0, 0])
        assert len(judges[0]) == 2
    other = filled(faces, seed=1).patches[0][0]
    assert not np.array_equal(other, filled(faces).patches[0][0])


def test_small_faces_count_where_there_are_no_others():
    small = {Path("z.png"): [face(8, 8, 1)], Path("b.png"): [face(6, 8, 9), face(5, 5)]}
    found = filled(small)
    assert found.used_whole
    assert found.patches[0][0].shape == (1, 6, 8, 3)
    assert not filled(FACES).used_whole
    assert not filled({Path("none.png"): []}).used_whole
    assert filled({Path("none.png"): []}).patches[0][0].shape == (0, 8, 8, 3)


def test_auto_can_judge_photos_of_a_single_patch():
    (patches, _), judges = filled(FACES, patch_num_per_img=1, auto=True, of_a_photo=1).patches
    assert len(patches) == 3
    assert len(judges[0]) == 1
    faces = {name: pairs[:1] for name, pairs in FACES.items()}
    (patches, _), judges = filled(faces, patch_num_per_img=1, auto=True).patches
    assert (len(patches), len(judges[0])) == (2, 1)


def test_the_identity_is_of_names_and_contents():
    inputs = {Path("a"): {"photo": 1, "faces": [2]}, Path("b"): None}
    found = album.identity(inputs)
    assert found == album.identity(dict(reversed(inputs.items())))
    others = [
        {**inputs, Path("c"): None},
        {**inputs, Path("a"): {"photo": 1, "faces": []}},
        {Path("a"): inputs[Path("a")]},
    ]
    assert len({found, *map(album.identity, others)}) == 4
