"""HMDB51 with its official splits 1 to 3: ``--dataset hmdb51/1``.

Kuehne, Jhuang, Garrote, Poggio, Serre: HMDB: A Large Video Database for Human Motion Recognition.
ICCV 2011.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from vidbench.data.datasets._archive_lists import ListedVideo, OfficialLists, read_lines
from vidbench.data.datasets._archive_splits import NUMBERS, Release, declare, load_split
from vidbench.errors import FetchError

_FLAGS = {"0": "", "1": "train", "2": "test"}
# After the class: visible body parts, camera motion, number of people, viewpoint, quality and clip
# number, as described in the readme of the dataset.
_TAGS = r"_[a-z]+_(?:cm|nm)_np\d+_(?:ba|fr|le|ri)_(?:bad|med|goo)_\d+\.avi"


def parse_lists(folder: Path, number: int, classes: Sequence[str]) -> Iterator[ListedVideo]:
    """Yield the videos of each ``<class>_test_splitN.txt``: a name, and 1 (train), 2 (test) or 0.

    Raises:
        FetchError: A list is missing or damaged.
    """
    for label in classes:
        path = folder / f"{label}_test_split{number}.txt"
        for line_number, line in read_lines(path):
            name, _, flag = line.rpartition(" ")
            if flag not in _FLAGS or not name.endswith(".avi") or "/" in name:
                raise FetchError(f"{path}, line {line_number}: {line[:100]!r} is not a video")
            yield ListedVideo(name.strip(), label, source_of(name.strip(), label), _FLAGS[flag])


def source_of(name: str, label: str) -> str:
    """Source of a clip, a film or a video: its name up to the class; empty for other names.

    The official splits keep the clips of one class and source on one side; clips of different
    classes may share a source, and are one group too. Numbered parts of a film
    (``A_Beautiful_Mind_1``) are separate sources: names do not distinguish parts from titles.
    """
    match = re.fullmatch(rf"(?P<source>.+)_{re.escape(label)}{_TAGS}", name)
    return "" if match is None else match["source"]


RELEASE = Release(
    family="hmdb51",
    # The address in GluonCV and others; the page of the dataset links to it. Whether it still
    # serves both archives, and over https, could not be verified.
    root="https://serre-lab.clps.brown.edu/wp-content/uploads/2013/10",
    videos="hmdb51_org.rar",
    lists=OfficialLists(
        archive="test_train_splits.rar",
        folder="testTrainMulti_7030_splits",
        first="brush_hair_test_split{number}.txt",
        parse=parse_lists,
    ),
    nested=True,  # one archive per class
)

load = partial(load_split, RELEASE)

FAMILY = declare(
    RELEASE,
    dict.fromkeys(NUMBERS, (3570, 1530)),
    num_classes=51,
    size="2 GB",
    licence="CC BY 4.0, as its page states",
)
