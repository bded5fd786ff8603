"""Find and restore the faces of a folder of photos (MetaF2N's generate_test_faces.py)."""

from metaf2n_tf.commands import cli, faces

if __name__ == "__main__":
    cli.run(faces)
