"""Published overlaps between the Kinetics releases."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_MANY_OF_600 = (
    "the authors of kinetics-700 (arXiv 1907.06987) warn that many clips of kinetics-600 {} "
    "are in its train"
)
OVERLAPS: Mapping[tuple[str, str, str], str] = MappingProxyType(
    {
        ("kinetics-600", "kinetics-400", "val"): (
            "of the 19,906 videos on the list of kinetics-400 val, 13,569 are in kinetics-600 val "
            "and 450 in its test; any of the others may be in its train"
        ),
        ("kinetics-600", "kinetics-400", "test"): (
            "of the 39,805 videos on the list of kinetics-400 test, 27,589 are in kinetics-600 "
            "test; any of the others may be in its train"
        ),
        ("kinetics-400", "kinetics-600", "val"): (
            "of the 29,994 videos on the list of kinetics-600 val, 13,569 are in kinetics-400 val; "
            "any of the others may be in its train"
        ),
        ("kinetics-400", "kinetics-600", "test"): (
            "of the videos on the list of kinetics-600 test, 27,589 are in kinetics-400 test and "
            "450 in its val; any of the others may be in its train"
        ),
        ("kinetics-700-2020", "kinetics-400", "val"): (
            "the CVDF, which serves Kinetics, warns that kinetics-400 val is largely part of "
            "kinetics-700 train"
        ),
        ("kinetics-700-2020", "kinetics-600", "val"): _MANY_OF_600.format("val"),
        ("kinetics-700-2020", "kinetics-600", "test"): _MANY_OF_600.format("test"),
    }
)
"""Known overlaps by (trained on, dataset, split): YouTube ids that the official lists share.

The CVDF's warning is in https://github.com/cvdfoundation/kinetics-dataset/issues/48. A video in the
val or test split of the release that a model was trained on is not a leak: only its train split
counts, and no number has been published for that overlap.
"""
