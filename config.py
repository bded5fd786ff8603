"""The numbers of the method, under the published names: the one file to edit for training."""

# Data. Face patches (of the inner loop) are HEIGHT x WIDTH pixels, background patches (of the outer) HEIGHT1 x WIDTH1.
HEIGHT = 128
WIDTH = 128
CHANNEL = 3

HEIGHT1 = 256
WIDTH1 = 256

META_BATCH_SIZE = 4  # tasks a meta-batch
TASK_BATCH_SIZE = 4  # pairs of a face and a background a task

TFRECORD_PATH0 = "./datasets/whole_face.tfrecord"  # faces, for the inner loop
TFRECORD_PATH1 = "./datasets/back400.tfrecord"  # backgrounds, for the outer loop
