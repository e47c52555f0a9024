"""How long tests wait for other processes: long enough that a busy machine fails none."""

from __future__ import annotations

import time
from collections.abc import Callable

# Longer than anything takes beside work that keeps all cores busy, and shorter than pytest's own
# limit, so that the test that waits can tell what it waited for.
PATIENCE_SECONDS = 480


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether the condition comes to hold while a test may wait."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
