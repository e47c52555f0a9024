"""Which of a dataset's videos the rows of a file are of."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from vidbench.data.records import VideoRecord
from vidbench.errors import ConfigError
from vidbench.external.answers import Answers

logger = logging.getLogger(__name__)

_NONE, _SEVERAL = -1, -2
_WHY = {_NONE: "are of no video of the dataset", _SEVERAL: "are names of several videos"}

Rows = NDArray[np.intp]


def match_rows(answers: Answers, records: Sequence[VideoRecord], folder: Path) -> Rows:
    """The place of each row's video among the records, (rows,).

    An id is the record's, letter by letter. A path is that of the record's file, as it stands or
    below ``folder``; or else its name, with or without its ending, is the id or the file's name of
    one record, or the source that one record alone was cut from. Of several records of a name the
    one is meant that shares most folders right above the file.

    Args:
        answers: What the file says.
        records: All videos of the dataset's split.
        folder: To which the records' paths are relative.

    Raises:
        ConfigError: Rows are of no video, or could be of several, or a video is ranked twice.
    """
    if answers.by_path:
        found = _find_paths(answers.keys, records, folder)
    else:
        index = {record.video_id: place for place, record in enumerate(records)}
        found = [index.get(key, _NONE) for key in answers.keys]
    _refuse_unknown(answers, found, records)
    if answers.rankings is not None:
        _refuse_twice(answers, found)
    return np.array(found, np.intp)


def _find_paths(paths: Sequence[str], records: Sequence[VideoRecord], folder: Path) -> list[int]:
    exact, names = _by_path(records, folder), _places(records, _names)
    groups = _places(records, lambda record: [record.group])
    found = [exact.get(_plain(path), _NONE) for path in paths]
    guessed = 0
    for row, place in enumerate(found):
        if place == _NONE:
            path = PurePosixPath(_plain(paths[row]))
            named = names.get(path.name) or names.get(path.stem) or groups.get(path.stem) or ()
            found[row] = _choose(path, named, records)
            guessed += found[row] >= 0
    if guessed:
        logger.info("%d of %d paths are found by the names of their files", guessed, len(paths))
    return found


def _choose(path: PurePosixPath, places: Sequence[int], records: Sequence[VideoRecord]) -> int:
    """Of the records that the path's name is of, the one that has most of its folders, too."""
    if len(places) < 2:
        return places[0] if places else _NONE
    shared = [_count_folders(path, records[place]) for place in places]
    best = max(shared)
    return places[shared.index(best)] if best and shared.count(best) == 1 else _SEVERAL


def _count_folders(path: PurePosixPath, record: VideoRecord) -> int:
    """How many folders right above the file are those of the record's path, or of its id."""
    own = [PurePosixPath(record.video_id), *([PurePosixPath(record.path)] if record.path else [])]
    return max(_count_alike(path.parts[-2::-1], each.parts[-2::-1]) for each in own)


def _count_alike(first: Sequence[str], second: Sequence[str]) -> int:
    pairs = zip(first, second, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _by_path(records: Sequence[VideoRecord], folder: Path) -> Mapping[str, int]:
    """Places by the paths of files, and by ids, which are paths in some datasets."""
    found = {_plain(record.video_id): place for place, record in enumerate(records)}
    for place, record in enumerate(records):
        if record.path is not None:
            for path in (record.path, folder / record.path, (folder / record.path).absolute()):
                found[_plain(path.as_posix())] = place
    return found


def _places(
    records: Sequence[VideoRecord], names: Callable[[VideoRecord], Iterable[str]]
) -> Mapping[str, Sequence[int]]:
    """The places of the records of each name."""
    found: dict[str, list[int]] = {}
    for place, record in enumerate(records):
        for name in filter(None, dict.fromkeys(names(record))):
            found.setdefault(name, []).append(place)
    return found


def _names(record: VideoRecord) -> Iterable[str]:
    """What the id and the file's path end in, with and without the file's ending."""
    yield PurePosixPath(record.video_id).name
    if record.path is not None:
        yield record.path.name
        yield record.path.stem


def _plain(path: str) -> str:
    """The path without ``./`` before it or double slashes; backslashes are those of Windows."""
    return PurePosixPath(path.replace("\\", "/")).as_posix()


def _refuse_unknown(answers: Answers, found: Sequence[int], records: Sequence[VideoRecord]) -> None:
    what = "paths" if answers.by_path else "ids"
    for code, why in _WHY.items():
        bad = list(dict.fromkeys(k for k, f in zip(answers.keys, found, strict=True) if f == code))
        if bad:
            own = f"; its videos are named like {records[0].video_id!r}" if records else ""
            raise ConfigError(
                f"{len(bad)} of {len(set(answers.keys))} {what} {why}, e.g. {bad[0]!r}{own}"
            )


def _refuse_twice(answers: Answers, found: Sequence[int]) -> None:
    twice = [place for place, count in Counter(found).items() if count > 1]
    if twice:
        example = answers.keys[found.index(twice[0])]
        raise ConfigError(
            f"{len(twice)} videos have several rows, e.g. {example!r}: rows are averaged as views "
            "where they score all classes, and rankings cannot be"
        )
