"""`metaf2n serve`: a page to enlarge photos on, until Ctrl-C."""

import logging
import os
import socket
import tempfile
import threading
from pathlib import Path

from metaf2n_tf import places, runtime, signals
from metaf2n_tf.commands import cli
from metaf2n_tf.commands.runs.upscale_options import Options
from metaf2n_tf.commands.runs.workbench import Workbench
from metaf2n_tf.data import size
from metaf2n_tf.errors import Argument, UserError
from metaf2n_tf.networks.sr import SCALE

_MOST_BYTES_A_PIXEL = 8  # 16 bits, four channels
_METADATA = 16 << 20  # bytes that a file may have beside its pixels
_MOMENT = 0.2  # seconds
_HERE = ("127.0.0.1", "::1", "localhost")
# Read when Gradio is imported: it tells nobody that it runs, and neither does what it imports.
_QUIET = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "1"}


def _listen(host: str, port: int) -> socket.socket:
    """Take the address; a UserError where that cannot be."""
    try:
        family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server((host, port), family=family)
    except socket.gaierror as error:
        raise UserError(Argument("host", host), f": {error.strerror}") from None
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        remedy = " Remedy: another ", Argument("port"), " or ", Argument("host")
        raise UserError(Argument("port", port), f": {host}:{port}: {reason}.", *remedy) from None


def run(options: Options, host: str, port: int) -> int:
    """Show the page until a signal ends that. Returns the exit code."""
    options.check()
    if len(options.fine_tune_num) > 1 or len(options.strength) > 1:
        raise UserError("--fine_tune_num, --strength: one of each, which the page starts with")
    with tempfile.TemporaryDirectory(prefix="metaf2n-") as place, _listen(host, port) as listening:
        os.environ.update(_QUIET, GRADIO_TEMP_DIR=str(Path(place, "gradio")))
        try:
            import uvicorn

            from metaf2n_tf.commands.runs import serve_page
        except ImportError as error:
            raise UserError(f"the page needs Gradio ({error}). Remedy: {places.extra('serve')}") from None
        bench = Workbench(options, runtime.select_device(options.gpu), Path(place))
        page = serve_page.build(bench, options.fine_tune_num[0], options.strength[0])
        most_bytes = _MOST_BYTES_A_PIXEL * size.max_megapixels() * 10**6 // SCALE**2 + _METADATA
        app = serve_page.application(page, most_bytes)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        serving = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        with signals.stop_signals() as received:
            serving.start()
            cli.say(f"the page is at http://{host}:{listening.getsockname()[1]} (Ctrl-C ends it)")
            if host not in _HERE:
                cli.say("note: whoever reaches this machine can use the page")
            while serving.is_alive() and not received:
                serving.join(_MOMENT)
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # of pages that are still open
            server.should_exit = True
            bench.stop()
            serving.join()
    cli.say("the page is closed")
    return cli.ended(received[0] if received else None)
