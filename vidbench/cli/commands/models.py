"""Lists the models that come with vidbench; none of their libraries is imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from vidbench.cli.arguments import OneLineParser
from vidbench.models.base import model_cards
from vidbench.terminal.tables import Table

_COLUMNS = ("model", "classes", "top1", "top5", "published", "needs", "source")


def run(arguments: Sequence[str]) -> None:
    """Prints a line for each model: its classes, published accuracy and protocol, its source."""
    parser = OneLineParser(
        prog="vidbench models",
        description="List the models that come with vidbench, with what their authors published. "
        "A name with a dot, such as mypackage.mymodel, is a module of your own.",
        add_config_file_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print them as JSON, with references")
    options = parser.parse_args(arguments)
    rows = [{"model": card.name, **asdict(card)} for card in model_cards()]
    table = Table(_COLUMNS, rows)
    print(table.render("json") if options.json else table.shown())
