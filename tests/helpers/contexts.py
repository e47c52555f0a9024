"""What tests say of a run beside its predictions, where nothing hangs on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vidbench.data.leakage import Leakage
from vidbench.labels.alignment import align
from vidbench.runs.context import KnownLeakage, MatchedLabels, RunContext

NO_LABELS = MatchedLabels.of(align([], []))
NO_LEAKAGE = KnownLeakage.of(Leakage(None))


def new_context(signature: str = "", **others: Any) -> RunContext:
    """The context of a run of this signature."""
    context = RunContext(signature=signature, labels=NO_LABELS, leakage=NO_LEAKAGE)
    return replace(context, **others)
