"""Match the rows of a file with the videos of a dataset."""

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
_WHY = {_NONE: "match no video of the dataset", _SEVERAL: "match several videos"}

Rows = NDArray[np.intp]


def match_rows(answers: Answers, records: Sequence[VideoRecord], folder: Path) -> Rows:
    """Index of each row's video among the records, (rows,).

    An id must equal the record's exactly. A path must be that of the record's file, as written or
    below ``folder``. Otherwise its name, with or without suffix, must be the id or file name of a
    record, or the source of a single record. Of several records with the name, the one that shares
    the most parent folders is used.

    Args:
        answers: Content of the file.
        records: All videos of the dataset's split.
        folder: Base of the records' paths.

    Raises:
        ConfigError: Rows match no video or several, or a video is ranked twice.
    """
    if answers.by_path:
        indices = _find_paths(answers.keys, records, folder)
    else:
        index_of = {record.video_id: index for index, record in enumerate(records)}
        indices = [index_of.get(key, _NONE) for key in answers.keys]
    _refuse_unknown(answers, indices, records)
    if answers.rankings is not None:
        _refuse_twice(answers, indices)
    return np.array(indices, np.intp)


def _find_paths(paths: Sequence[str], records: Sequence[VideoRecord], folder: Path) -> list[int]:
    exact, names = _by_path(records, folder), _by_name(records, _names)
    groups = _by_name(records, lambda record: [record.group])
    indices = [exact.get(_plain(path), _NONE) for path in paths]
    guessed = 0
    for row, index in enumerate(indices):
        if index == _NONE:
            path = PurePosixPath(_plain(paths[row]))
            named = names.get(path.name) or names.get(path.stem) or groups.get(path.stem) or ()
            indices[row] = _choose(path, named, records)
            guessed += indices[row] >= 0
    if guessed:
        logger.info("%d of %d paths were matched by file name", guessed, len(paths))
    return indices


def _choose(path: PurePosixPath, candidates: Sequence[int], records: Sequence[VideoRecord]) -> int:
    """Choose the record that shares the most parent folders with the path."""
    if len(candidates) < 2:
        return candidates[0] if candidates else _NONE
    shared = [_count_folders(path, records[index]) for index in candidates]
    best = max(shared)
    return candidates[shared.index(best)] if best and shared.count(best) == 1 else _SEVERAL


def _count_folders(path: PurePosixPath, record: VideoRecord) -> int:
    """Number of parent folders, from the file upwards, shared with the record's path or id."""
    paths = [PurePosixPath(record.video_id), *([PurePosixPath(record.path)] if record.path else [])]
    return max(_count_alike(path.parts[-2::-1], each.parts[-2::-1]) for each in paths)


def _count_alike(first: Sequence[str], second: Sequence[str]) -> int:
    pairs = zip(first, second, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _by_path(records: Sequence[VideoRecord], folder: Path) -> Mapping[str, int]:
    """Indices by the paths of files, and by ids, which are paths in some datasets."""
    indices = {_plain(record.video_id): index for index, record in enumerate(records)}
    for index, record in enumerate(records):
        if record.path is not None:
            for path in (record.path, folder / record.path, (folder / record.path).absolute()):
                indices[_plain(path.as_posix())] = index
    return indices


def _by_name(
    records: Sequence[VideoRecord], names: Callable[[VideoRecord], Iterable[str]]
) -> Mapping[str, Sequence[int]]:
    """Indices of the records with each name."""
    indices: dict[str, list[int]] = {}
    for index, record in enumerate(records):
        for name in filter(None, dict.fromkeys(names(record))):
            indices.setdefault(name, []).append(index)
    return indices


def _names(record: VideoRecord) -> Iterable[str]:
    """Last part of the id and of the path, the latter with and without suffix."""
    yield PurePosixPath(record.video_id).name
    if record.path is not None:
        yield record.path.name
        yield record.path.stem


def _plain(path: str) -> str:
    """The path without leading ``./`` and double slashes; backslashes become slashes."""
    return PurePosixPath(path.replace("\\", "/")).as_posix()


def _refuse_unknown(
    answers: Answers, indices: Sequence[int], records: Sequence[VideoRecord]
) -> None:
    what = "paths" if answers.by_path else "ids"
    for code, why in _WHY.items():
        rows = zip(answers.keys, indices, strict=True)
        bad = list(dict.fromkeys(key for key, index in rows if index == code))
        if bad:
            names = f"; its videos are named like {records[0].video_id!r}" if records else ""
            raise ConfigError(
                f"{len(bad)} of {len(set(answers.keys))} {what} {why}, e.g. {bad[0]!r}{names}"
            )


def _refuse_twice(answers: Answers, indices: Sequence[int]) -> None:
    twice = [index for index, count in Counter(indices).items() if count > 1]
    if twice:
        example = answers.keys[indices.index(twice[0])]
        raise ConfigError(
            f"{len(twice)} videos have several rows, e.g. {example!r}: rows with scores of all "
            "classes are averaged as views, but rankings cannot be averaged"
        )
