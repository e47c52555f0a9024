"""The Kinetics releases, in the layout of the CVDF server and its mirrors.

Source of the layout: https://github.com/cvdfoundation/kinetics-dataset
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CVDF_ROOT = "https://s3.amazonaws.com/kinetics/"
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Release:
    """Paths of one release below its root.

    Attributes:
        name: E.g. ``kinetics-400``.
        root: Official server or folder.
        path_list: The list of tarballs, with ``{split}`` in it.
        annotations: The official list of videos, by split.
        class_list: A file below the root; None if the classes come with vidbench.
        one_tarball_per_class: Splits whose tarballs are named after classes.
        replacements: Archive of repaired videos that replace damaged ones, by split.
    """

    name: str
    root: str
    path_list: str
    annotations: Mapping[str, str]
    class_list: str | None = None
    one_tarball_per_class: frozenset[str] = frozenset()
    replacements: Mapping[str, str] = field(default_factory=dict)


RELEASES = {
    "400": Release(
        name="kinetics-400",
        root=CVDF_ROOT,
        path_list="400/{split}/k400_{split}_path.txt",
        annotations={split: f"400/annotations/{split}.csv" for split in SPLITS},
        replacements={"train": "400/replacement_for_corrupted_k400.tgz"},
    ),
    "600": Release(
        name="kinetics-600",
        root=CVDF_ROOT,
        path_list="600/{split}/k600_{split}_path.txt",
        annotations={  # the .csv twins of train and val are marked incomplete by the server
            "train": "600/annotations/train.txt",
            "val": "600/annotations/val.txt",
            "test": "600/annotations/test.csv",
        },
        one_tarball_per_class=frozenset({"train", "val"}),
    ),
    "700": Release(
        name="kinetics-700-2020",
        root=CVDF_ROOT,
        path_list="700_2020/{split}/k700_2020_{split}_path.txt",
        annotations={split: f"700_2020/annotations/{split}.csv" for split in SPLITS},
    ),
}


def release_name(name: str) -> str:
    """The name of the release that is meant, which of ``kinetics-700`` is that of 2020."""
    return RELEASES["700"].name if name == "kinetics-700" else name
