"""Two CPU replicas, and two processes, do what one device does."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tiny_training

from metaf2n_tf.errors import UserError
from metaf2n_tf.meta.replicas import Replicas, choose_strategy

SCRIPT = Path(__file__).with_name("replica_process.py")


@pytest.fixture(scope="module")
def one_device():
    replicas = Replicas(tiny_training.meta_step(), tf.distribute.get_strategy())
    batch, state = tiny_training.batch(), replicas.place(tiny_training.state())
    before = replicas.unadapted(state, batch)
    for step in range(2):
        state, report = replicas.step(state, batch, step)
    return before, report, state


def start(output, devices, config=None):
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[2])}
    if config:
        environment["TF_CONFIG"] = json.dumps(config)
    arguments = [sys.executable, str(SCRIPT), str(output), str(devices)]
    return subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True)


def finish(processes):
    for process in processes:
        _, printed = process.communicate(timeout=300)
        assert process.returncode == 0, printed


def check(path, one_device, processes):
    before, report, state = one_device
    with np.load(path) as found:
        np.testing.assert_allclose(found["unadapted"], np.array(before[:4]), rtol=1e-5)
        np.testing.assert_allclose(found["weight_range"], report.weight_range, rtol=1e-5)
        np.testing.assert_allclose(found["outer"], report.losses.outer, rtol=1e-5)
        np.testing.assert_allclose(found["discriminator"], report.losses.discriminator, rtol=1e-5)
        assert found["updated"]
        assert found["count"] == 2
        assert found["stopping"].tolist() == [False, True]
        assert found["agreeing"].tolist() == [True, processes == 1]
        for index, leaf in enumerate(tf.nest.flatten(state)):
            np.testing.assert_allclose(found[f"{index:05}"], leaf, rtol=1e-3, atol=2e-6)


def test_two_replicas_of_one_process(tmp_path, one_device):
    finish([start(tmp_path / "two.npz", 2)])
    check(tmp_path / "two.npz", one_device, 1)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for opened in sockets:
        opened.bind(("127.0.0.1", 0))
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def test_two_processes(tmp_path, one_device):
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    outputs = [tmp_path / f"{index}.npz" for index in range(2)]
    tasks = [{"cluster": cluster, "task": {"type": "worker", "index": index}} for index in range(2)]
    finish([start(output, 1, task) for output, task in zip(outputs, tasks, strict=True)])
    for output in outputs:
        check(output, one_device, 2)


def test_tasks_must_go_evenly_over_the_devices():
    class Three:
        num_replicas_in_sync = 3
        cluster_resolver = None

    with pytest.raises(UserError, match="META_BATCH_SIZE = 2 .* 3 devices"):
        Replicas(tiny_training.meta_step(), Three())


@pytest.mark.parametrize("text", ["no json", "[]", '{"cluster": {"worker": ["a:1", "b:2"]}}'])
def test_a_bad_tf_config_is_one_line(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match="TF_CONFIG"):
        choose_strategy()


def test_without_tf_config_there_is_one_device(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert choose_strategy().num_replicas_in_sync == 1
