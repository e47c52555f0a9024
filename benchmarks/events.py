"""A discrete-event simulation's clock, what is shared in it, and who works."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Generic, TypeVar

Done = Callable[[], None]
"""Called when something is done."""

N = TypeVar("N")

_IN_FLIGHT = 2  # pieces of work that a process has at hand, as in vidbench.engines.cluster.pipeline


class Clock:
    """The time, and what happens next."""

    def __init__(self) -> None:
        self.now = 0.0
        self._numbers = count()
        self._events: list[tuple[float, int, Done]] = []

    def at(self, time: float, action: Done) -> None:
        heapq.heappush(self._events, (max(time, self.now), next(self._numbers), action))

    def run(self) -> None:
        while self._events:
            self.now, _, action = heapq.heappop(self._events)
            action()


class Resource:
    """Cores, GPUs or bandwidth that all share in proportion to what they ask for.

    ``_progress`` counts the seconds that a demand alone would have been served, so that demands end
    in the order of the progress at which they are satisfied, whoever comes and goes meanwhile.
    """

    def __init__(self, clock: Clock, capacity: float) -> None:
        self._clock, self._capacity = clock, capacity
        self._numbers = count()
        self._waiting: list[tuple[float, int, float, Done]] = []
        self._asked = self._progress = self._since = 0.0
        self._version = 0
        self.used = 0.0

    def serve(self, amount: float, width: float, done: Done) -> None:
        """Calls ``done`` when the amount is served, at no more than ``width`` a second."""
        if amount <= 0 or self._capacity == math.inf:
            self._clock.at(self._clock.now, done)
            return
        width = min(width, self._capacity)
        self._advance()
        self._asked += width
        satisfied = self._progress + amount / width
        heapq.heappush(self._waiting, (satisfied, next(self._numbers), width, done))
        self._plan()

    @property
    def _share(self) -> float:
        return min(1.0, self._capacity / self._asked)

    def _advance(self) -> None:
        if self._waiting:
            seconds = self._clock.now - self._since
            self._progress += seconds * self._share
            self.used += seconds * min(self._asked, self._capacity)
        self._since = self._clock.now

    def _plan(self) -> None:
        self._version += 1
        if self._waiting:
            left, version = self._waiting[0][0] - self._progress, self._version
            self._clock.at(self._clock.now + left / self._share, lambda: self._end(version))

    def _end(self, version: int) -> None:
        if version != self._version:  # somebody came meanwhile, and another end was planned
            return
        self._advance()
        satisfied, _, width, done = heapq.heappop(self._waiting)
        self._progress = satisfied
        self._asked = self._asked - width if self._waiting else 0.0
        self._plan()
        done()


@dataclass(eq=False)
class Worker(Generic[N]):
    """A process that does one thing after another.

    Attributes:
        node: Where it runs.
        waiting: Work that it was given, and has not begun.
        at_work: Whether it does something.
    """

    node: N
    waiting: deque[int] = field(default_factory=deque)
    at_work: bool = False

    @property
    def in_flight(self) -> int:
        return len(self.waiting) + self.at_work


class Pool(Generic[N]):
    """Processes of one kind, given work as Ray gives it: to one that has the least at hand.

    Args:
        workers: All of them.
        work: Begins a piece of work at a worker, and calls what it is given at its end.
        then: Called with each piece that is done.
    """

    def __init__(
        self,
        workers: Sequence[Worker[N]],
        work: Callable[[Worker[N], int, Done], None],
        then: Callable[[int], None],
    ) -> None:
        self._work, self._then = work, then
        self._queue: deque[int] = deque()
        self._open = False
        # By how much they have at hand; a dictionary is a set in order of coming.
        self._by_load: list[dict[Worker[N], None]] = [{} for _ in range(_IN_FLIGHT + 1)]
        self._by_load[0] = dict.fromkeys(workers)

    def add(self, number: int) -> None:
        """One more piece of work."""
        self._queue.append(number)
        self._give()

    def start(self) -> None:
        """From now on they work."""
        self._open = True
        self._give()

    def _give(self) -> None:
        while self._open and self._queue:
            able = next((found for found in self._by_load[:_IN_FLIGHT] if found), None)
            if able is None:
                return
            worker = next(iter(able))
            del able[worker]
            worker.waiting.append(self._queue.popleft())
            self._by_load[worker.in_flight][worker] = None
            self._begin(worker)

    def _begin(self, worker: Worker[N]) -> None:
        if worker.waiting and not worker.at_work:
            worker.at_work, number = True, worker.waiting.popleft()
            self._work(worker, number, lambda: self._end(worker, number))

    def _end(self, worker: Worker[N], number: int) -> None:
        del self._by_load[worker.in_flight][worker]
        worker.at_work = False
        self._by_load[worker.in_flight][worker] = None
        self._begin(worker)
        self._give()
        self._then(number)


def when_all(number: int, done: Done) -> Done:
    """What is to be called so often until ``done`` is."""
    left = count(number - 1, -1)

    def one() -> None:
        if next(left) == 0:
            done()

    return one
