"""Run an iterator ahead of its consumer in a thread that can be stopped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar, cast

_Item = TypeVar("_Item")


@contextmanager
def prefetched(
    items: Iterator[_Item], depth: int, *, on_leaving: Callable[[], None]
) -> Iterator[Iterator[_Item]]:
    """Iterator over the same items; a thread computes them ahead, starting on entry.

    Args:
        items: The iterator; only the thread uses it.
        depth: Number of items that may wait for the consumer.
        on_leaving: Called on exit, to end what the thread may be waiting for.
    """
    end = object()
    with ThreadPoolExecutor(1) as thread:
        pending = deque(thread.submit(next, items, end) for _ in range(depth))

        def ahead() -> Iterator[_Item]:
            while (item := pending.popleft().result()) is not end:
                pending.append(thread.submit(next, items, end))
                yield cast(_Item, item)

        try:
            yield ahead()
        finally:
            on_leaving()
            thread.shutdown(cancel_futures=True)
