"""Find the videos below a folder, by file name alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from vidbench.errors import ConfigError
from vidbench.storage.frame_folder import USUAL_FPS, Kind, are_frames, is_picture, other_kinds

_SUFFIXES = """
.264 .265 .3g2 .3gp .3gpp .amv .apng .asf .av1 .avi .divx .dv .f4v .flv .gif .gxf .h261 .h263 .h264
.h265 .hevc .ismv .ivf .m1v .m2p .m2t .m2ts .m2v .m4v .mjpeg .mjpg .mk3d .mkv .mod .mov .mp4 .mpe
.mpeg .mpg .mts .mxf .nut .obu .ogm .ogv .qt .rm .rmvb .tod .tp .trp .ts .vob .webm .wmv .wtv .y4m
"""
MEDIA_SUFFIXES = frozenset(_SUFFIXES.split())
"""File extensions of videos, in lower case; other files of a folder are ignored."""

_OF_SYSTEMS = """
$recycle.bin @eadir #recycle #snapshot __macosx desktop.ini lost+found thumbs.db
"""
_SYSTEM = frozenset(_OF_SYSTEMS.split())
"""Names that operating systems and storage devices put beside files, in lower case."""


class Found(NamedTuple):
    """Files and folders below a folder, sorted by name.

    Attributes:
        videos: Files, and folders of frames (:mod:`vidbench.storage.frame_folder`).
        others: Files without the extension of a video.
        hidden: Hidden files, and hidden folders, which are not searched.
        empty: Empty folders.
        frames: The videos that are folders of frames, with the kinds of their other pictures.
    """

    videos: list[Path]
    others: list[Path]
    hidden: list[Path]
    empty: list[Path]
    frames: dict[Path, tuple[Kind, ...]]

    def left_out(self, root: Path) -> list[str]:
        """A line for each reason why files are left out, with a count and an example.

        Args:
            root: Examples are shown relative to it.
        """
        reasons = {
            "no known video ending": self.others,
            "hidden, or made by the system": self.hidden,
        }
        return [describe_left_out(paths, why, root) for why, paths in reasons.items() if paths]


def find_videos(path: Path) -> Found:
    """The videos below a folder, links followed; the path of a file counts as a video itself.

    Raises:
        ConfigError: The path does not exist, cannot be listed, or has no video.
    """
    if not os.path.lexists(path):
        raise ConfigError(f"{path} does not exist: name a folder of videos, or one video")
    if not path.is_dir():
        return Found([path], [], [], [], {})
    found = survey(path)
    if not found.videos:
        raise ConfigError("; ".join([f"{path} has no video", *found.left_out(path)]))
    return found


def survey(folder: Path, by_name: int = 0) -> Found:
    """All files and folders below a folder, links followed.

    A folder that several links point to is visited once, by the first of its names, so loops of
    links end.

    Args:
        folder: The folder to list.
        by_name: Depth down to which folders are visited under each of their names.

    Raises:
        ConfigError: A folder cannot be listed.
    """
    found = Found([], [], [], [], {})
    for entries in _walk(folder, set(), by_name):
        _sort_into(found, entries)
    return found._replace(
        videos=sorted(found.videos), others=sorted(found.others), hidden=sorted(found.hidden)
    )


def _sort_into(found: Found, entries: _Entries) -> None:
    folder, files, folders, is_again = entries
    visible = [name for name in files if not is_hidden(name)]
    videos = [name for name in visible if _is_video_name(name)]
    frames = [] if videos or not are_frames(visible) else [n for n in visible if is_picture(n)]
    found.videos.extend(folder / name for name in videos)
    if frames:
        found.videos.append(folder)
        found.frames[folder] = other_kinds(visible)
    if not is_again:
        found.others.extend(folder / name for name in set(visible) - {*videos, *frames})
        found.hidden.extend(folder / name for name in (*files, *folders) if is_hidden(name))
    found.empty.extend([] if files or folders else [folder])


def list_files(folder: Path) -> list[Path]:
    """All files at any depth below a folder, links followed, sorted by name.

    Raises:
        ConfigError: A folder cannot be listed.
    """
    walked = _walk(folder, set(), hidden=True)
    return sorted(entries.folder / name for entries in walked for name in entries.files)


def is_media(file: Path) -> bool:
    """Whether the file has the name of a video."""
    return names_media(str(file))


def names_media(path: str) -> bool:
    """Whether a path ends in the name of a video."""
    name = os.path.basename(path)  # noqa: PTH119 - lists are long, and a Path is slow
    return _is_video_name(name) and not is_hidden(name)


def is_hidden(name: str) -> bool:
    """Whether the name is hidden, or belongs to an operating system or storage device."""
    return name.startswith(".") or name.lower() in _SYSTEM


def describe_left_out(paths: Sequence[Path], why: str, root: Path) -> str:
    """A line with the number of files left out, the reason, and an example relative to the root."""
    files = "1 file" if len(paths) == 1 else f"{len(paths)} files"
    return f"{files} left out: {why}, such as {paths[0].relative_to(root)}"


def describe_usual_rate(folders: Sequence[Path]) -> str:
    """A line about folders of frames without a known frame rate, which get the default."""
    return (
        f"videos that are folders of frames, read at FFmpeg's default of {USUAL_FPS:g} frames per "
        f"second: {len(folders)}, such as {folders[0]}; --frames_fps sets another rate"
    )


def _is_video_name(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in MEDIA_SUFFIXES  # noqa: PTH122 - takes a text


class _Entries(NamedTuple):
    """Sorted names in a folder, and whether it was already listed under another name."""

    folder: Path
    files: list[str]
    folders: list[str]
    is_again: bool


def _walk(
    folder: Path, seen: set[str], by_name: int = 0, *, hidden: bool = False
) -> Iterator[_Entries]:
    real_path = os.path.realpath(folder)
    entries = _list(folder, is_again=real_path in seen)
    seen.add(real_path)
    yield entries
    for name in entries.folders:
        child = folder / name
        if (hidden or not is_hidden(name)) and (by_name > 0 or os.path.realpath(child) not in seen):
            yield from _walk(child, seen, by_name - 1, hidden=hidden)


def _list(folder: Path, *, is_again: bool) -> _Entries:
    folders: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                is_plain = entry.is_file(follow_symlinks=False)  # needs no system call
                is_folder = not is_plain and os.path.isdir(entry.path)  # noqa: PTH112 - of any link
                (folders if is_folder else files).append(entry.name)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be listed: {error.strerror}") from error
    return _Entries(folder, sorted(files), sorted(folders), is_again)
