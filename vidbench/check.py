"""Whether videos are whole, before a long run: every frame of every file, in worker processes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from vidbench.data.pool import DEFAULT_TIMEOUT_SECONDS, LostError, Pool
from vidbench.data.scan import Scan, scan_video
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
    files = sorted(_walk(path, set()))
    videos = [file for file in files if _is_media(file)]
    if not videos:
        raise ConfigError(f"{path} holds no video: {len(files)} other files are below it")
    return Found(videos, len(files) - len(videos))


def _walk(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """Whatever lies below and is no folder; each folder once, though links may lead back to it."""
    seen.add(folder.resolve())
    try:
        children = list(folder.iterdir())
    except OSError as error:
        raise ConfigError(f"{folder} cannot be listed: {error.strerror}") from error
    for child in children:
        if not child.is_dir():
            yield child
        elif child.resolve() not in seen:
            yield from _walk(child, seen)


def _is_media(file: Path) -> bool:
    return file.suffix.lower() in MEDIA_SUFFIXES and not file.name.startswith(_APPLE_DOUBLE)


def check_videos(
    videos: Sequence[Path], num_workers: int, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
) -> Iterator[Scan]:
    """Whether each video is whole, in order, by :func:`~vidbench.data.scan.scan_video`.

    Args:
        videos: Files to decode.
        num_workers: Processes; a decoder that crashes or hangs costs its one video. 0 decodes in
            this process, which shares the decoder's fate.
        timeout_seconds: For one video.
    """
    with closing(Pool(scan_video, num_workers, timeout_seconds)) as pool:
        waiting = iter(videos)
        begun = islice(waiting, 1 + 4 * num_workers)
        window = deque((video, pool.submit(video)) for video in begun)
        while window:
            video, future = window.popleft()
            try:
                scan = pool.result(future, video)
            except LostError as error:
                scan = Scan("broken", str(error))
            yield scan
            window.extend((video, pool.submit(video)) for video in islice(waiting, 1))
