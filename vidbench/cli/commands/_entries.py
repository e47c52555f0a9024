"""Shared by `vidbench models` and `vidbench datasets`: a table of all, details of some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from vidbench.cli.arguments import OneLineParser
from vidbench.errors import ConfigError
from vidbench.terminal.tables import Table


@dataclass(frozen=True)
class Listing:
    """What comes with vidbench of one kind.

    Attributes:
        command: ``models`` or ``datasets``.
        rows: Everything known of each, by name of column; ``name`` is among them.
        columns: The columns of the table, which fits 80 characters.
        details: The lines about one of them.
        note: Text below the table: what it leaves out, and how to see that.
    """

    command: str
    rows: Sequence[Mapping[str, Any]]
    columns: Sequence[str]
    details: Sequence[str]
    note: str

    def show(self, arguments: Sequence[str]) -> None:
        """Print all as a table, those named as paragraphs, either as JSON if asked.

        Raises:
            ConfigError: Nothing has the name that was given.
        """
        options = self._parser().parse_args(arguments)
        rows = self.rows if options.name is None else self._named(options.name)
        if options.json:
            print(Table(self.columns, rows).render("json"))
        elif options.name is None:
            print(Table(self.columns, rows).shown())
            print(f"\n{self.note}")
        else:
            print(Table(self.details, rows).details())

    def _parser(self) -> OneLineParser:
        parser = OneLineParser(
            prog=f"vidbench {self.command}",
            description=f"List the {self.command} that come with vidbench, or show all details of "
            "some. A name with a dot, such as mypackage.mymodule, is a module of your own.",
        )
        parser.add_argument(
            "name", metavar="NAME", nargs="?", help="one of them, or a family such as the part "
            "before the slash: show its details"
        )  # fmt: skip
        parser.add_argument("--json", action="store_true", help="print every detail as JSON")
        return parser

    def _named(self, name: str) -> list[Mapping[str, Any]]:
        """The row of this name, or those of the family."""
        names = [row["name"] for row in self.rows]
        families = [each.partition("/")[0] for each in names]
        if name in names and name not in families:
            return [row for row in self.rows if row["name"] == name]
        if name in families:
            return [row for row, of in zip(self.rows, families, strict=True) if of == name]
        near = get_close_matches(name, [*names, *families], n=1)
        hint = f"did you mean {near[0]}?" if near else f"`vidbench {self.command}` lists them"
        raise ConfigError(f"vidbench has nothing called {name!r} among its {self.command}: {hint}")
