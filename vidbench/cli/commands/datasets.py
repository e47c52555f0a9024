"""Lists the datasets that come with vidbench; nothing is fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from vidbench.cli.commands._entries import Listing
from vidbench.data.datasets.base import dataset_entries

_COLUMNS = ("dataset", "videos", "classes", "size")
_DETAILS = (*_COLUMNS, "licence", "source")
_NOTE = "`vidbench datasets NAME` shows licence and source; --json shows everything."


def run(arguments: Sequence[str]) -> None:
    """Print a row for each dataset, or what is known of those that are named.

    Raises:
        ConfigError: There is no dataset of that name.
    """
    rows = [
        asdict(entry)
        | {"dataset": entry.name, "videos": _counts(entry.splits), "classes": entry.num_classes}
        for entry in dataset_entries()
    ]
    Listing("datasets", rows, _COLUMNS, _DETAILS, _NOTE).show(arguments)


def _counts(splits: Mapping[str, int | None]) -> str:
    return ", ".join(f"{name} {count:,}" if count else name for name, count in splits.items())
