"""What the parts of a dataset are called: by its authors, and in names of files and folders."""

from __future__ import annotations

import re

_WORDS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validate", "validation"),
    "test": ("test", "testing"),
}
SPLIT_WORDS = {word: split for split, words in _WORDS.items() for word in words}
"""The split that each word means."""

_BETWEEN = re.compile(r"[^a-z]+")


def split_of(name: str) -> str | None:
    """``train``, ``val`` or ``test`` if the name has a word for one of them, and for no other.

    Args:
        name: E.g. ``validation``, ``videos_val``, ``kinetics400_val.csv`` or ``val_256``.
    """
    found = {SPLIT_WORDS[word] for word in _BETWEEN.split(name.casefold()) if word in SPLIT_WORDS}
    return found.pop() if len(found) == 1 else None
