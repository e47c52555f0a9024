"""How much of the real footage a test looks at: some of it in every run, all of it where asked."""

from __future__ import annotations

import pytest

each_nth = pytest.mark.parametrize(
    "nth",
    [pytest.param(8, id="some"), pytest.param(1, id="all", marks=pytest.mark.slow)],
)
"""Gives ``nth``: the test takes every eighth clip, and every one in ``./run slow``."""
