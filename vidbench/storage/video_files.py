"""Which files and folders below a folder are videos, by their names alone."""

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
"""What tells a video by its name, in whatever case; other files of a folder are ignored."""

_OF_SYSTEMS = """
$recycle.bin @eadir #recycle #snapshot __macosx desktop.ini lost+found thumbs.db
"""
_SYSTEM = frozenset(_OF_SYSTEMS.split())
"""What systems and storage devices put beside files, in small letters."""


class Found(NamedTuple):
    """What lies below a folder, each in the order of names.

    Attributes:
        videos: Files, and folders of frames (:mod:`vidbench.storage.frame_folder`).
        others: Files that are no videos by their names.
        hidden: Hidden files, and hidden folders, which are not looked into.
        empty: Folders that hold nothing.
        frames: The videos that are folders of frames, with what other pictures they hold.
    """

    videos: list[Path]
    others: list[Path]
    hidden: list[Path]
    empty: list[Path]
    frames: dict[Path, tuple[Kind, ...]]

    def left_out(self, root: Path) -> list[str]:
        """What is no video, a line for each reason, with counts and examples.

        Args:
            root: Examples are named relative to it.
        """
        reasons = {
            "no known video ending": self.others,
            "hidden, or made by the system": self.hidden,
        }
        return [describe_left_out(paths, why, root) for why, paths in reasons.items() if paths]


def find_videos(path: Path) -> Found:
    """The videos below a folder, links followed; a file that is named itself is one in any case.

    Raises:
        ConfigError: The path does not exist, a folder cannot be listed, or holds no video.
    """
    if not os.path.lexists(path):
        raise ConfigError(f"{path} does not exist: name a folder of videos, or one video")
    if not path.is_dir():
        return Found([path], [], [], [], {})
    found = survey(path)
    if not found.videos:
        raise ConfigError("; ".join([f"{path} holds no video", *found.left_out(path)]))
    return found


def survey(folder: Path, by_name: int = 0) -> Found:
    """What lies below a folder, links followed.

    A folder that several links lead to is visited once, by the first of its names, and links in
    loops end.

    Args:
        folder: It is listed.
        by_name: Down to so many levels below it, folders are visited under each of their names.

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
    place, files, folders, is_again = entries
    shown = [name for name in files if not is_hidden(name)]
    videos = [name for name in shown if _is_video_name(name)]
    frames = [] if videos or not are_frames(shown) else [n for n in shown if is_picture(n)]
    found.videos.extend(place / name for name in videos)
    if frames:
        found.videos.append(place)
        found.frames[place] = other_kinds(shown)
    if not is_again:
        found.others.extend(place / name for name in set(shown) - {*videos, *frames})
        found.hidden.extend(place / name for name in (*files, *folders) if is_hidden(name))
    found.empty.extend([] if files or folders else [place])


def list_files(folder: Path) -> list[Path]:
    """Whatever lies below and is no folder, links followed, in the order of names.

    Raises:
        ConfigError: A folder cannot be listed.
    """
    walked = _walk(folder, set(), hidden=True)
    return sorted(entries.folder / name for entries in walked for name in entries.files)


def is_media(file: Path) -> bool:
    """Whether the name is a video's."""
    return names_media(str(file))


def names_media(path: str) -> bool:
    """Whether a path ends in a video's name."""
    name = os.path.basename(path)  # noqa: PTH119 - lists have many, and a Path takes its time
    return _is_video_name(name) and not is_hidden(name)


def is_hidden(name: str) -> bool:
    """Whether the name is that of a hidden file or folder, or of those that systems make."""
    return name.startswith(".") or name.lower() in _SYSTEM


def describe_left_out(paths: Sequence[Path], why: str, root: Path) -> str:
    """A line that says how many files are left out, why, and one of them, relative to the root."""
    files = "1 file" if len(paths) == 1 else f"{len(paths)} files"
    return f"{files} left out: {why}, such as {paths[0].relative_to(root)}"


def describe_usual_rate(folders: Sequence[Path]) -> str:
    """A line that says which rate folders of frames are taken for where theirs is not stated."""
    return (
        f"videos that are folders of frames, and are taken for {USUAL_FPS:g} frames a second, as "
        f"FFmpeg does: {len(folders)}, such as {folders[0]}; --frames_fps says otherwise"
    )


def _is_video_name(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in MEDIA_SUFFIXES  # noqa: PTH122 - takes a text


class _Entries(NamedTuple):
    """What lies right in a folder: names, in order; and whether it was listed by another name."""

    folder: Path
    files: list[str]
    folders: list[str]
    is_again: bool


def _walk(
    folder: Path, seen: set[str], by_name: int = 0, *, hidden: bool = False
) -> Iterator[_Entries]:
    place = os.path.realpath(folder)
    entries = _list(folder, is_again=place in seen)
    seen.add(place)
    yield entries
    for name in entries.folders:
        child = folder / name
        if (hidden or not is_hidden(name)) and (by_name > 0 or os.path.realpath(child) not in seen):
            yield from _walk(child, seen, by_name - 1, hidden=hidden)


def _list(folder: Path, *, is_again: bool) -> _Entries:
    folders: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(folder) as found:
            for entry in found:
                is_plain = entry.is_file(follow_symlinks=False)  # told without asking the disk
                is_folder = not is_plain and os.path.isdir(entry.path)  # noqa: PTH112 - of any link
                (folders if is_folder else files).append(entry.name)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be listed: {error.strerror}") from error
    return _Entries(folder, sorted(files), sorted(folders), is_again)
