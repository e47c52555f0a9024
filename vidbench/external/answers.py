"""What a file of predictions says, before anything of the dataset is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ScoreRows = NDArray[np.floating[Any]]

Name = str | int
"""A class as the file has it: its name, or its place in a list of classes, from 0."""


@dataclass(frozen=True)
class Answers:
    """The rows of a file; either ``scores`` or ``rankings`` are there.

    Attributes:
        keys: What names each row's video; several rows may name one.
        by_path: Whether the keys are paths of videos, not their ids.
        classes: Of the columns of scores; None where the file does not name them.
        scores: (rows, classes).
        rankings: The classes of each row, best first.
        notes: How the file was read, where that was not the only way, a line each.
    """

    keys: Sequence[str]
    by_path: bool
    classes: tuple[Name, ...] | None = None
    scores: ScoreRows | None = None
    rankings: Sequence[tuple[Name, ...]] | None = None
    notes: tuple[str, ...] = ()
