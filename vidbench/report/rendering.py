"""Render self-contained HTML pages: template, style, script and data in one file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidbench.storage.files import disk_errors, replacing
from vidbench.terminal.progress import format_bytes
from vidbench.terminal.sanitize import escape_controls

if TYPE_CHECKING:
    from jinja2 import Environment

_SCRIPTS = ("page.js", "matrix.js", "browser.js")


def render_page(template: str, data: Mapping[str, Any], **context: Any) -> str:
    """HTML of a page.

    All texts are escaped. As a second defence, a content security policy allows only our own
    script and style, by their hashes, and no network requests.

    Args:
        template: Name of a file in ``templates``.
        data: JSON data for the script.
        context: Variables for the template.
    """
    style = _asset("page.css")
    script = "\n".join(map(_asset, _SCRIPTS))
    policy = _policy(script, style)
    page = _environment().get_template(template)
    return page.render(context, data=data, style=style, script=script, policy=policy)


def write_page(path: Path, page: str) -> None:
    """Write a page atomically.

    Raises:
        DiskFullError: The disk is full; an earlier page is kept.
    """
    content = page.encode()
    with disk_errors(path.parent, len(content)), replacing(path) as temporary:
        temporary.write_bytes(content)


def data_url(media_type: str, content: bytes) -> str:
    """A ``data:`` URL with the content."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _policy(script: str, style: str) -> str:
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "img-src data:",
            "media-src data: file: 'self'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _asset(name: str) -> str:
    """Text of a script or style, stripped: the browser hashes all text between the tags."""
    return files("vidbench.report").joinpath("templates", name).read_text("utf-8").strip()


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("vidbench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, size=_size, visible=escape_controls)
    return environment


def percent(value: float, digits: int = 1) -> str:
    """A share as text, e.g. ``92.9 %``."""
    return f"{value * 100:.{digits}f}\u202f%"


def _size(num_bytes: float) -> str:
    """Bytes as text that stays on one line, e.g. ``689 MB``."""
    return format_bytes(num_bytes).replace(" ", "\u202f")
