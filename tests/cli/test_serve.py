"""`metaf2n serve` as a command: how it starts, and how it ends. Its page is tested in test_serve_browser.py."""

import dataclasses
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest
from commands import ROOT, environment
from test_workbench import OPTIONS

from metaf2n_tf.commands.runs import serve
from metaf2n_tf.errors import UserError

COMMAND = [sys.executable, "-m", "metaf2n_tf.commands.main", "serve", "--detector", "mtcnn", "--gpu", "-1"]


def in_checkout(home):
    return {**environment(home), "PYTHONPATH": str(ROOT), "TMPDIR": str(home)}


def refused(host="127.0.0.1", port=0, **changes):
    with pytest.raises(UserError) as error:
        serve.run(dataclasses.replace(OPTIONS, **changes), host, port)
    return str(error.value)


def test_a_port_in_use_is_named():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        error = refused(port=port)
    assert error == f"port={port}: 127.0.0.1:{port}: Address already in use. Remedy: another port or host"


def test_a_host_that_is_none_is_named():
    assert refused("no.such.host.invalid").startswith("host=no.such.host.invalid: ")
    assert "192.0.2.1:0: Cannot assign requested address" in refused("192.0.2.1")  # an address of nobody


def test_without_gradio_the_remedy_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "metaf2n_tf.commands.runs.serve_page", raising=False)
    error = refused()
    assert error.startswith("the page needs Gradio (")
    assert error.endswith("). Remedy: pip install -r requirements-serve.txt")


@pytest.mark.parametrize(
    "changes", [{"fine_tune_num": [0, 1]}, {"strength": [0.5, 1.0]}, {"strength": [float("nan")]}, {"patch_size": 30}]
)
def test_what_the_page_starts_with_is_checked(changes):
    assert next(iter(changes)) in refused(**changes)


def test_it_ends_with_one_line_and_leaves_nothing(tmp_path):
    pytest.importorskip("gradio", reason="Gradio is not installed: the page was not tested")
    with subprocess.Popen(
        [*COMMAND, "--port", "0"], stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=in_checkout(tmp_path)
    ) as server:
        assert server.stderr
        url = next(line.split()[4] for line in server.stderr if line.startswith("the page is at "))
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(url) as answer:
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert list(tmp_path.glob("metaf2n-*"))
        server.send_signal(signal.SIGTERM)
        assert server.stderr.read() == "the page is closed\n"
    assert server.returncode == 128 + signal.SIGTERM
    assert not list(tmp_path.glob("metaf2n-*"))
