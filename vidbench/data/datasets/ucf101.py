"""UCF101 with its official splits 1 to 3: ``--dataset ucf101/1``.

Soomro, Zamir, Shah: UCF101: A Dataset of 101 Human Actions Classes From Videos in The Wild.
CRCV-TR-12-01, 2012 (arXiv:1212.0402).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from vidbench.data.datasets._archive_lists import ListedVideo, OfficialLists, read_lines
from vidbench.data.datasets._archive_splits import SPLITS, Release, declare, load_split
from vidbench.errors import FetchError

_LINE = re.compile(
    r"(?P<label>\w+)/(?P<name>v_\w+_(?P<group>g\d+)_c\d+\.avi)(?:\s+(?P<index>\d+))?"
)


def parse_lists(folder: Path, number: int, classes: Sequence[str]) -> Iterator[ListedVideo]:
    """Yield the videos ``Class/v_Class_gGG_cCC.avi`` of ``trainlist0N.txt`` and ``testlist0N.txt``.

    The class is that of the folder, because file names spell ``HandstandPushups`` differently.
    Clips gGG of a class were cut from one video, or show the same person and place: they are a
    group.

    Raises:
        FetchError: A list is missing or damaged, or its class indices (from 1) differ from
            ``classes``.
    """
    for split in SPLITS:
        path = folder / f"{split}list{number:02d}.txt"
        for line_number, line in read_lines(path):
            match = _LINE.fullmatch(line)
            if match is None:
                raise FetchError(f"{path}, line {line_number}: {line[:100]!r} is not a video")
            label, index = match["label"], match["index"]
            if index is not None and classes[int(index) - 1 : int(index)] != (label,):
                raise FetchError(f"{path}, line {line_number}: {label} is not class {index}")
            yield ListedVideo(match["name"], label, f"{label}_{match['group']}", split)


RELEASE = Release(
    family="ucf101",
    # The address in torchvision, TensorFlow Datasets and others. Whether it still serves both
    # archives, with a certificate that systems accept, could not be verified.
    root="https://www.crcv.ucf.edu/data/UCF101",
    videos="UCF101.rar",
    lists=OfficialLists(
        archive="UCF101TrainTestSplits-RecognitionTask.zip",
        folder="ucfTrainTestlist",
        first="testlist{number:02d}.txt",
        parse=parse_lists,
    ),
)

load = partial(load_split, RELEASE)

_COUNTS = {1: (9537, 3783), 2: (9586, 3734), 3: (9624, 3696)}

FAMILY = declare(RELEASE, _COUNTS, num_classes=101)
