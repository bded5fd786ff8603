"""The numbers of the method, under the published names: the one file to edit for training.

`main.py --set NAME=VALUE` overrides any of them for one run.
"""

# Data. Face patches (of the inner loop) are HEIGHT x WIDTH pixels, background patches (of the outer) HEIGHT1 x WIDTH1.
HEIGHT = 128
WIDTH = 128
CHANNEL = 3

HEIGHT1 = 256
WIDTH1 = 256

TFRECORD_PATH0 = "./datasets/whole_face.tfrecord"  # faces, for the inner loop
TFRECORD_PATH1 = "./datasets/back400.tfrecord"  # backgrounds, for the outer loop
RESTORER = "gpen_256"  # of the LQ faces; or asffnet, kdfsrnet, self_ensemble, none (enlarged), ground_truth (perfect)
EXEMPLAR_DIR = ""  # for asffnet: HQ photos of the one person whose faces TFRECORD_PATH0 holds
SEED = 0  # of the meta-batches, and of the weights that are drawn

# Outer loop.
META_ITER = 400000  # meta-steps
META_BATCH_SIZE = 4  # tasks a meta-batch
META_LR = 3e-5  # Adam, of the SR network and MaskNet
DISCRIMINATOR_LR = 1e-4  # Adam
SECOND_ORDER_GRAD_ITER = 0  # first-order gradients before this step

# Inner loop.
TASK_ITER = 1  # inner steps
TASK_BATCH_SIZE = 4  # pairs of a face and a background a task
TASK_LR = 1e-2  # plain SGD
DECAY_STEP_WEIGHTS = True  # MZSR's weights of the inner steps move to the last one (False: stay equal, as published)

# Where training starts: SR_WEIGHTS is any file that --model_dir of test.py takes (MaskNet is drawn where it has none).
SR_WEIGHTS = "./weights/RealESRGAN_x4plus.pth"
DISCRIMINATOR_WEIGHTS = "./weights/RealESRGAN_x4plus_netD.pth"  # or "random"
LPIPS_WEIGHTS = "./weights/lpips-alex.npz"

# What is kept: checkpoints CHECKPOINT_DIR/ModelN/model-STEP, TensorBoard's files LOG_DIR + N, for --trial N.
CHECKPOINT_DIR = "./weights"
LOG_DIR = "./logs"
PRINT_ITER = 20  # steps from one line of progress to the next
SAVE_ITER = 1000  # steps from one checkpoint to the next
KEEP_CHECKPOINTS = 0  # only so many of the newest; 0: all
MAX_SKIPPED = 10  # give up after so many steps in a row whose gradients were not finite
