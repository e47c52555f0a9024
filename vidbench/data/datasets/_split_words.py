"""Words for the splits of a dataset in lists and in names of files and folders."""

from __future__ import annotations

import re

_WORDS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validate", "validation"),
    "test": ("test", "testing"),
}
SPLIT_WORDS = {word: split for split, words in _WORDS.items() for word in words}
"""Split by word."""

_BETWEEN = re.compile(r"[^a-z]+")


def split_of(name: str) -> str | None:
    """Return ``train``, ``val`` or ``test`` if the name has words for exactly one of them.

    Args:
        name: E.g. ``validation``, ``videos_val``, ``kinetics400_val.csv`` or ``val_256``.
    """
    splits = {SPLIT_WORDS[word] for word in _BETWEEN.split(name.casefold()) if word in SPLIT_WORDS}
    return splits.pop() if len(splits) == 1 else None
