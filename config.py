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
RESTORER = "gpen_256"  # of the LQ faces; or asffnet, kdfsrnet, faces_lite, self_ensemble, none, ground_truth
EXEMPLAR_DIR = ""  # for asffnet: HQ photos of the one person whose faces TFRECORD_PATH0 holds
SHARED_NOISE = False  # pictures of a task have noise of one strength, as a photo has; False: of any, as published
SEED = 0  # of the meta-batches, and of the weights that are drawn

# Outer loop.
L1_WEIGHT = 1.0
LPIPS_WEIGHT = 0.5
LPIPS_WINDOWS = False  # LPIPS of random windows, enlarged: else, without a GAN, patterns of 4 pixels come up unseen
GAN_WEIGHT = 0.1  # 0: no discriminator is needed
MASK_WEIGHT = 0.002  # of mean((W - 1)^2) / 2
UNADAPTED_WEIGHT = 0.0  # of the outer loss of the unadapted weights, beside that of the adapted ones
OUTER_TARGET = "sharpened"  # backgrounds, in LQ and in the outer loss: sharpened (USM), or plain
META_ITER = 400000  # meta-steps
META_BATCH_SIZE = 4  # tasks a meta-batch
META_LR = 3e-5  # Adam, of the SR network and MaskNet
META_LR_DECAY = 1.0  # to this share of it META_LR falls until META_ITER, along a half cosine
CLIP_NORM = 0.0  # a longer gradient of SR network and MaskNet is shortened to this; 0: as it is
DISCRIMINATOR_LR = 1e-4  # Adam
SECOND_ORDER_GRAD_ITER = 0  # first-order gradients before this step

# Inner loop.
INNER_LOOP = True  # False: plain training, on the same batches with the same losses
TASK_ITER = 1  # inner steps
TASK_BATCH_SIZE = 4  # pairs of a face and a background a task
TASK_LR = 1e-2  # plain SGD
LEARN_TASK_LR = False  # a rate for each variable, from TASK_LR on, learned with the rest (Meta-SGD)
RATE_LR = 1e-2  # Adam, of the logarithms of those rates
DECAY_STEP_WEIGHTS = True  # MZSR's weights of the inner steps move to the last one (False: stay equal, as published)

# Where training starts: SR_WEIGHTS is any file that --model_dir of test.py takes (MaskNet is drawn where it has none).
SR_WEIGHTS = "./weights/RealESRGAN_x4plus.pth"
SR_BLEND = ""  # other weights of the same network and their share, like wdn.npz:0.5
CONTEXT_BRANCH = False  # give a compact network a branch that sees the whole face, as faces_lite has
MASK_WIDTH = 64  # channels of a MaskNet that is drawn
MASK_BIAS = 0.0  # of its last convolution; W starts near it
DISCRIMINATOR_WEIGHTS = "./weights/RealESRGAN_x4plus_netD.pth"  # or "random"
LPIPS_WEIGHTS = "./weights/lpips-alex.npz"

# What is kept: checkpoints CHECKPOINT_DIR/ModelN/model-STEP, TensorBoard's files LOG_DIR + N, for --trial N.
CHECKPOINT_DIR = "./weights"
LOG_DIR = "./logs"
PRINT_ITER = 20  # steps from one line of progress to the next
SAVE_ITER = 1000  # steps from one checkpoint to the next
KEEP_CHECKPOINTS = 0  # only so many of the newest; 0: all
MAX_SKIPPED = 10  # give up after so many steps in a row whose gradients were not finite
