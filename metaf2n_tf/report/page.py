"""The page: template, style and script of this folder in one HTML file, with the photos' parts as JSON between them.

Nothing in it is ever fetched: pictures are data URIs, and a content security policy forbids everything else. A photo's
JSON is parsed when the photo is shown, so a page of hundreds opens quickly.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from metaf2n_tf.data import files, strict_json
from metaf2n_tf.data.strict_json import plain
from metaf2n_tf.errors import UserError
from metaf2n_tf.report import pictures
from metaf2n_tf.report.photo import decode_photo, dump

_ROOM = Path(__file__).parent


@dataclass(frozen=True)
class Reading:
    """How a metric is read: whether "higher" or "lower" is better, and how many digits are shown behind the point."""

    better: str
    digits: int


@dataclass(frozen=True)
class Table:
    """A table. Columns that have a metric's name are shown as that metric, with its best highlighted."""

    title: str
    columns: list[str]
    rows: list[list[str | float | None]]


@dataclass(frozen=True)
class Overview:
    """What the page says of the whole run.

    settings: common to all photos; lines: sentences such as "best by lpips: 3 steps"; pictures: plots with their
    titles, each uint8 (H, W, 3) RGB or the bytes of a PNG or SVG; metrics: how those of all views and tables are read.
    """

    title: str
    settings: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    pictures: Sequence[tuple[str, np.ndarray | bytes]] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    metrics: dict[str, Reading] = field(default_factory=dict)


def _settings(settings: dict[str, Any]) -> str:
    def show(value: Any) -> str:
        return html.escape(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))

    rows = [f"<dt>{html.escape(name)}</dt><dd>{show(value)}</dd>" for name, value in settings.items()]
    return f"<details><summary>Settings</summary><dl>{''.join(rows)}</dl></details>" if rows else ""


def _figures(overview: Overview) -> str:
    figures = []
    for title, picture in overview.pictures:
        title = html.escape(title)
        image = f'<img src="{pictures.plot_uri(picture)}" alt="{title}">'
        figures.append(f"<figure>{image}<figcaption>{title}</figcaption></figure>")
    return "".join(figures)


def _in_index(part: dict) -> dict:
    """What the page knows of a photo before it is shown."""
    return {
        "photo": part["photo"],
        "thumbnail": part["thumbnail"],
        "views": [{name: view[name] for name in ("label", "truth", "metrics")} for view in part["views"]],
    }


def _script(identity: str, content: bytes) -> bytes:
    return b'<script type="application/json" id="%s">%s</script>\n' % (identity.encode(), content)


def write_page(path: Path, overview: Overview, parts: Iterable[Path]) -> None:
    """Write the page, with one photo in memory at a time.

    Args:
      path: of the HTML file, which is replaced once the new one is whole.
      overview: of the whole run.
      parts: files that `encode_photo` gave, in the order of the page. Damaged ones are left out and named there.

    Raises:
      UserError: the page cannot be written.
    """
    script = (_ROOM / "page.js").read_text(encoding="utf-8")
    settings = plain(overview.settings)
    filled = {
        "title": html.escape(overview.title),
        "hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "style": (_ROOM / "page.css").read_text(encoding="utf-8"),
        "lines": "".join(f"<li>{html.escape(line)}</li>" for line in overview.lines),
        "settings": _settings(settings),
        "figures": _figures(overview),
        "script": script,
        "quality": str(pictures.QUALITY),
    }
    template = (_ROOM / "page.html").read_text(encoding="utf-8")
    halves = [re.sub(r"\{\{(\w+)\}\}", lambda match: filled[match[1]], half) for half in template.split("{{photos}}")]
    # A file name need not be text, so what cannot be encoded is spelled out.
    before, after = (half.encode("utf-8", "backslashreplace") for half in halves)
    photos, damaged = [], []
    try:
        with files.replacing(path) as hidden, hidden.open("wb") as stream:
            stream.write(before)
            for part_path in parts:
                try:
                    part = decode_photo(files.read_whole(part_path, strict_json.LONGEST))
                except (OSError, ValueError):
                    damaged.append(part_path.name)
                    continue
                stream.write(_script(f"photo-{len(photos)}", dump(part)))
                photos.append(_in_index(part))
            index = {
                "photos": photos,
                "metrics": {name: vars(reading) for name, reading in overview.metrics.items()},
                "damaged": damaged,
                "settings": settings,
                "tables": [vars(table) for table in overview.tables],
                "heat": pictures.heat_colours(),
            }
            stream.write(_script("index", dump(index)))
            stream.write(after)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
