from metaf2n_tf.upscale import photo_views


def record(photo, psnr, **changes):
    rest = {"seed": 0, "adapted": True, "faces": 1}
    return rest | {"photo": photo, "metrics": {"unadapted": {"psnr_y": psnr, "lpips": 0.5}}} | changes


def test_means_of_views_also_where_a_record_was_read_again():
    """Strict JSON has no infinity, so a PSNR of equal pictures comes back as a string."""
    found = photo_views.overview("Title", [record("a.png", 20.0), record("b.png", "Infinity", seed=1)], ["seed"])
    (table,) = found.tables
    assert table.columns == ["picture", "psnr_y", "lpips"]
    assert table.rows == [["unadapted", 20.0, 0.5]]  # the mean of the finite ones
    assert found.settings == {}
    assert found.lines == ["photos: 2, adapted to their faces: 2"]


def test_what_all_records_share_is_a_setting():
    found = photo_views.overview(
        "Title", [record("a.png", 20.0), record("b.png", 30.0, adapted=False)], ["seed", "tile"]
    )
    assert found.settings == {"seed": 0}
    assert found.lines == ["photos: 2, adapted to their faces: 1"]
    assert found.tables[0].rows[0][1] == 25.0
    assert photo_views.overview("Title", [record("a.png", 20.0)], []).tables == []
