"""Lists the datasets that come with vidbench; nothing is fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from vidbench.cli.arguments import OneLineParser
from vidbench.data.datasets.base import dataset_cards
from vidbench.terminal.tables import Table

_COLUMNS = ("dataset", "videos", "classes", "size", "licence", "source")


def run(arguments: Sequence[str]) -> None:
    """Prints a line for each dataset: its splits and counts, its size, licence and source."""
    parser = OneLineParser(
        prog="vidbench datasets",
        description="List the datasets that come with vidbench. A name with a dot, such as "
        "mypackage.mydataset, is a module of your own.",
        add_config_file_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print them as JSON")
    options = parser.parse_args(arguments)
    rows = [
        asdict(card)
        | {"dataset": card.name, "videos": _counts(card.splits), "classes": card.num_classes}
        for card in dataset_cards()
    ]
    table = Table(_COLUMNS, rows)
    print(table.render("json") if options.json else table.shown())


def _counts(splits: Mapping[str, int | None]) -> str:
    return ", ".join(f"{name} {count:,}" if count else name for name, count in splits.items())
