"""Lists the models that come with vidbench; none of their libraries is imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from vidbench.cli.commands._entries import Listing
from vidbench.models.base import all_model_families

_COLUMNS = ("model", "classes", "top1", "needs")
_DETAILS = ("model", "classes", "top1", "top5", "published", "reference", "needs", "source")
_NOTE = """\
top1 is the published accuracy. `vidbench models NAME` shows its dataset and
protocol, its reference and the source of the weights; --json shows everything."""


def run(arguments: Sequence[str]) -> None:
    """Print a row for each model, or what is known of those that are named.

    Raises:
        ConfigError: There is no model of that name.
    """
    rows = [
        {"model": entry.name, **asdict(entry), "needs": family.needs}
        for family in all_model_families()
        for entry in family.entries
    ]
    Listing("models", rows, _COLUMNS, _DETAILS, _NOTE).show(arguments)
