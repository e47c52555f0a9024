"""The source of the fetched videos in a folder, recorded in a file beside them."""

from __future__ import annotations

from pathlib import Path

from vidbench.data.fetch.download import is_url
from vidbench.errors import ConfigError
from vidbench.storage.files import replacing

MARK = "root.txt"


def write_mark(folder: Path, source: str) -> None:
    """Record the source of the videos in a folder, unless it is recorded already."""
    mark = folder / MARK
    if not mark.exists() or mark.read_text("utf-8") != _text(source):
        with replacing(mark) as temporary:
            temporary.write_text(_text(source), "utf-8")


def refuse_other_source(folder: Path, source: str) -> None:
    """Raise ConfigError if a folder has videos from another source, which may have other files."""
    mark = folder / MARK
    if mark.exists() and (recorded := mark.read_text("utf-8")) != _text(source):
        raise ConfigError(
            f"{folder} has videos from {recorded}, not from {_text(source)}: use another "
            f"--data_dir, or remove {mark} if both have the same files"
        )


def _text(source: str) -> str:
    return source if is_url(source) else str(Path(source).resolve())
