"""How long tests wait for other processes: long enough that a busy machine fails none."""

from __future__ import annotations

# Longer than anything takes beside work that keeps all cores busy, and shorter than pytest's own
# limit, so that the test that waits can tell what it waited for.
PATIENCE_SECONDS = 480
