"""Adapt to the faces of each photo and super-resolve it x4 (MetaF2N's test.py)."""

from metaf2n_tf.commands import cli, upscale

if __name__ == "__main__":
    cli.run(upscale)
