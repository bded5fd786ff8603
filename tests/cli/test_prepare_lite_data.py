"""The script that puts the training data of the shipped weights together."""

import commands
import numpy as np
from PIL import Image


def test_bad_pictures_are_named_and_names_may_not_clash(tmp_path):
    rng = np.random.default_rng(0)
    for folder in ("photos", "faces_cc_by", "faces_nc"):
        (tmp_path / "DATA" / folder).mkdir(parents=True)
        for index in range(4):
            picture = Image.fromarray(rng.integers(0, 256, (256, 256, 3), np.uint8))
            picture.save(tmp_path / "DATA" / folder / f"own_{folder}_{index}.png")
    (tmp_path / "DATA" / "photos" / "bad.jpg").write_bytes(b"no picture")
    (tmp_path / "DATA" / "faces_nc" / "gone.png").symlink_to("nowhere")
    arguments = ["--pictures", tmp_path / "DATA", "--output_dir", tmp_path / "out"]
    log = commands.run(tmp_path, "scripts/prepare_lite_data.py", *arguments, code=1)
    for name in ("bad.jpg", "gone.png"):
        assert f"{name}: not a readable picture" in log
    assert "2 of 14 files could not be used" in log
    assert len(list((tmp_path / "out" / "training" / "backgrounds").iterdir())) == 8
    (tmp_path / "DATA" / "faces_nc" / "own_faces_cc_by_0.png").symlink_to("own_faces_nc_0.png")
    log = commands.run(tmp_path, "scripts/prepare_lite_data.py", *arguments, code=2)
    assert "would give results of one name" in log
