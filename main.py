"""Meta-train the SR network and MaskNet (MetaF2N's main.py); the numbers are in config.py."""

from metaf2n_tf.commands import cli, train

if __name__ == "__main__":
    cli.run(train)
