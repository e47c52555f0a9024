"""Measure the time spent in each stage."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar, cast

_Item = TypeVar("_Item")


class Stopwatch:
    """Adds up the seconds spent in each stage.

    Attributes:
        seconds: Seconds by name of the stage, in the order of first entry.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Add the time of a ``with`` block to this stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add({stage: time.perf_counter() - start})

    def each(self, stage: str, items: Iterator[_Item]) -> Iterator[_Item]:
        """Yield the items; the time to get each one is added to this stage."""
        end = object()
        while True:
            with self(stage):
                item = next(items, end)
            if item is end:
                return
            yield cast(_Item, item)

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add seconds measured elsewhere."""
        for stage, value in seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + value
