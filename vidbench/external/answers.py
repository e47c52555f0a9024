"""Content of a file of predictions, before it is matched with a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ScoreRows = NDArray[np.floating[Any]]

Name = str | int
"""A class as written in the file: its name, or its index in a list of classes, from 0."""


@dataclass(frozen=True)
class Answers:
    """The rows of a file, with either ``scores`` or ``rankings``.

    Attributes:
        keys: Id or path of each row's video; several rows may have the same.
        by_path: Whether the keys are paths of videos instead of ids.
        classes: Classes of the columns of scores; None if the file does not name them.
        scores: (rows, classes).
        rankings: Classes of each row, best first.
        notes: Choices made in reading an ambiguous file, one line each.
    """

    keys: Sequence[str]
    by_path: bool
    classes: tuple[Name, ...] | None = None
    scores: ScoreRows | None = None
    rankings: Sequence[tuple[Name, ...]] | None = None
    notes: tuple[str, ...] = ()
