"""Write the table of options in the README, from the descriptions that the parser has too."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from vidbench.cli.arguments import GROUPS
from vidbench.config.options import Option, options_of

BEGIN, END = "<!-- options: written by scripts/options_table.py -->\n", "<!-- end of options -->\n"


def main() -> None:
    """Replaces what stands between both marks of the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    readme = Path(__file__).resolve().parents[1] / "README.md"
    parser.add_argument("path", type=Path, nargs="?", default=readme, help="default: the README")
    path: Path = parser.parse_args().path
    before, rest = path.read_text("utf-8").split(BEGIN)
    _, after = rest.split(END)
    path.write_text(before + BEGIN + "\n".join(_lines()) + "\n" + END + after, "utf-8")


def _lines() -> Iterator[str]:
    for title, owner in GROUPS.items():
        yield f"\n| {title} | |\n|---|---|"
        for name, described in options_of(owner).items():
            yield f"| {_name(name, described)} | {_meaning(described)} |"
    yield ""


def _name(name: str, described: Option) -> str:
    return f"`--{name} {described.metavar}`" if described.metavar else f"`--{name}`"


def _meaning(described: Option) -> str:
    former = f"; formerly `--{described.former}`" if described.former else ""
    page = f"docs/{described.page}.md"
    return described.help + former + (f": [{page}]({page})" if described.page else "")


if __name__ == "__main__":
    main()
