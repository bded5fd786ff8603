"""A process of test_replicas.py: two meta-steps of the tiny training on `devices` local CPU devices.

python replica_process.py OUTPUT.npz DEVICES; several processes are told of one another by TF_CONFIG.
"""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "golden")]

from metaf2n_tf import runtime  # noqa: E402

output, devices = sys.argv[1], int(sys.argv[2])
runtime.import_tensorflow()
import tensorflow as tf  # noqa: E402

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)

from metaf2n_tf.meta.replicas import Replicas, choose_strategy  # noqa: E402

strategy = choose_strategy()
if devices > 1:
    strategy = tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(devices)])

import numpy as np  # noqa: E402
import tiny_training  # noqa: E402

replicas = Replicas(tiny_training.meta_step(), strategy)
batch = tiny_training.batch()
first = replicas.process * replicas.tasks
batch = type(batch)(*(tensor[first : first + replicas.tasks] for tensor in batch))
state = replicas.place(tiny_training.state())
before = replicas.unadapted(state, batch)
for step in range(2):
    state, report = replicas.step(state, batch, step)
agreeing = [replicas.agree(7), replicas.agree(replicas.process)]
stopping = [replicas.anywhere(flag) for flag in (False, replicas.process == replicas.processes - 1)]
arrays = {f"{index:05}": leaf for index, leaf in enumerate(tf.nest.flatten(replicas.first(state)))}
np.savez(
    output,
    unadapted=np.array(before[:4]),
    weight_range=report.weight_range,
    outer=report.losses.outer,
    discriminator=report.losses.discriminator,
    updated=report.updated,
    count=replicas.count,
    stopping=stopping,
    agreeing=agreeing,
    **arrays,
)
