"""Seconds per stage."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar, cast

_Item = TypeVar("_Item")


class Stopwatch:
    """Adds up the seconds spent in each stage.

    Attributes:
        seconds: By name of the stage, in the order in which stages were first entered.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Counts the time of a ``with`` block to this stage."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.add({stage: time.perf_counter() - begun})

    def each(self, stage: str, items: Iterator[_Item]) -> Iterator[_Item]:
        """The items; the time until each one comes counts to this stage."""
        end = object()
        while True:
            with self(stage):
                item = next(items, end)
            if item is end:
                return
            yield cast(_Item, item)

    def add(self, seconds: Mapping[str, float]) -> None:
        """Counts what was measured elsewhere."""
        for stage, value in seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + value
