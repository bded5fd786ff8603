"""scripts/restore_with_exemplars.py as ASFFNet's users call main_test.py, with narrow recipe weights."""

import shutil

import commands
import exemplar_samples as samples
from asffnet_weights import tiny_asffnet_state_dict
from torch_file import write_pth

from metaf2n_tf.data import images


def test_the_published_command(tmp_path):
    for folder in ("weights", "LQ", "HQ", "HQ_Landmarks"):
        (tmp_path / folder).mkdir()
    write_pth(tmp_path / "weights/ASFFNet512.pth", tiny_asffnet_state_dict())
    shutil.copy(samples.MESH, tmp_path / "weights")
    images.write_rgb8(tmp_path / "LQ/i1.png", samples.aligned("astronaut"))
    images.write_rgb8(tmp_path / "HQ/o1.png", samples.aligned("grace_hopper"))
    shutil.copy(samples.LANDMARKS / "grace_hopper.txt", tmp_path / "HQ_Landmarks/o1.png.txt")
    (tmp_path / "list.txt").write_text("./LQ/i1.png\t./HQ\t./HQ_Landmarks\n./LQ/i2.png\t./HQ\t./HQ_Landmarks")
    log = commands.run(tmp_path, "scripts/restore_with_exemplars.py", "-s", "list.txt", "-d", "results", code=1)
    assert "skipped: LQ/i2.png: " in log
    assert [file.name for file in (tmp_path / "results").iterdir()] == ["i1.png"]
    assert images.read_rgb8(tmp_path / "results/i1.png").shape == (512, 1536, 3)
