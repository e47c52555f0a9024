"""Where the fetched videos of a folder are from, in a file beside them."""

from __future__ import annotations

from pathlib import Path

from vidbench.data.fetch.download import is_url
from vidbench.errors import ConfigError
from vidbench.storage.files import replacing

MARK = "root.txt"


def write_mark(folder: Path, source: str) -> None:
    """Note that the videos of a folder are from this source, unless the note is there."""
    mark = folder / MARK
    if not mark.exists() or mark.read_text("utf-8") != _text(source):
        with replacing(mark) as temporary:
            temporary.write_text(_text(source), "utf-8")


def refuse_other_source(folder: Path, source: str) -> None:
    """Raise ConfigError if a folder holds videos from another source: it may have other files."""
    mark = folder / MARK
    if mark.exists() and (found := mark.read_text("utf-8")) != _text(source):
        raise ConfigError(
            f"{folder} holds videos from {found}, not from {_text(source)}: take another "
            f"--data_dir, or remove {mark} if both have the same files"
        )


def _text(source: str) -> str:
    return source if is_url(source) else str(Path(source).resolve())
