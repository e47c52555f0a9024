"""Which files below a folder are videos, by their names alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from vidbench.errors import ConfigError

_SUFFIXES = """
.3g2 .3gp .asf .avi .divx .f4v .flv .m2ts .m4v .mkv .mov .mp4 .mpe .mpeg .mpg .mts .mxf .ogm .ogv
.qt .rm .rmvb .ts .vob .webm .wmv .y4m
"""
MEDIA_SUFFIXES = frozenset(_SUFFIXES.split())
"""What tells a video by its name, in whatever case; other files of a folder are ignored."""

_APPLE_DOUBLE = "._"  # what macOS puts beside a file in a tarball has the file's suffix


class Found(NamedTuple):
    """What lies below a path.

    Attributes:
        videos: In the order of their names.
        ignored: How many files are no videos by their names.
    """

    videos: list[Path]
    ignored: int


def find_videos(path: Path) -> Found:
    """The videos below a folder, links followed; a file that is named itself is one in any case.

    Raises:
        ConfigError: The path does not exist, a folder cannot be listed, or holds no video.
    """
    if not os.path.lexists(path):
        raise ConfigError(f"{path} does not exist: name a folder of videos, or one video")
    if not path.is_dir():
        return Found([path], 0)
    files = list_files(path)
    videos = [file for file in files if is_media(file)]
    if not videos:
        raise ConfigError(f"{path} holds no video: {len(files)} other files are below it")
    return Found(videos, len(files) - len(videos))


def list_files(folder: Path) -> list[Path]:
    """Whatever lies below and is no folder, links followed, in the order of names.

    A folder that several links lead to is visited once, by the first of its names.

    Raises:
        ConfigError: A folder cannot be listed.
    """
    return sorted(_walk(folder, set()))


def is_media(file: Path) -> bool:
    """Whether the name is a video's."""
    return file.suffix.lower() in MEDIA_SUFFIXES and not file.name.startswith(_APPLE_DOUBLE)


def _walk(folder: Path, seen: set[Path]) -> Iterator[Path]:
    seen.add(folder.resolve())
    try:
        children = sorted(folder.iterdir())
    except OSError as error:
        raise ConfigError(f"{folder} cannot be listed: {error.strerror}") from error
    for child in children:
        if not child.is_dir():
            yield child
        elif child.resolve() not in seen:
            yield from _walk(child, seen)
