"""The ``vidbench`` program: dispatch to commands, and turn errors into exit codes."""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Sequence

from vidbench._version import __version__
from vidbench.errors import ConfigError, VidbenchError
from vidbench.terminal.output import OutputClosedError, visible_output

_COMMANDS = {
    "evaluate": "evaluate a model on a split of a dataset",
    "score": "score predictions of another program",
    "report": "score a finished run again and rewrite its report",
    "figures": "draw figures of finished runs, as PNG and SVG",
    "compare": "test whether runs differ on the videos that all of them scored",
    "leaderboard": "rank the finished runs of a folder",
    "fuse": "average the scores of several runs into a new run",
    "models": "list the models that come with vidbench",
    "datasets": "list the datasets that come with vidbench",
    "predict": "label long videos or a camera over time",
    "verify": "check that a model gives the logits that its authors published",
    "check": "find broken and truncated videos before a long run",
    "subset": "choose a small, balanced part of a split, as a list or as files",
    "cache": "show or remove cached clips, models and features",
}
_OUTPUT_CLOSED = 141  # exit code in shells of a program ended by SIGPIPE: 128 + 13
_EXAMPLE = "vidbench evaluate @scripts/config.txt"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 failed, 2 invalid request, 130 interrupted, 141 output closed."""
    command, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        with visible_output():
            return _run(command, rest)
    except OutputClosedError:
        return _OUTPUT_CLOSED


def _run(command: str, arguments: Sequence[str]) -> int:
    try:
        if command in ("-h", "--help"):
            print(_usage())
            return 0
        if command == "--version":
            print(f"vidbench {__version__}")
            return 0
        if command not in _COMMANDS:
            raise ConfigError(f"there is no command {command!r}, only {', '.join(_COMMANDS)}")
        importlib.import_module(f"vidbench.cli.commands.{command}").run(arguments)
        sys.stdout.flush()  # so that a full disk is reported in one line
    except VidbenchError as error:
        print(f"vidbench: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:  # e.g. a name is too long, a folder is not readable
        print(f"vidbench: {error}", file=sys.stderr)
        return VidbenchError.exit_code
    except KeyboardInterrupt:
        print("vidbench: interrupted; the same command resumes from here", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0


def _usage() -> str:
    lines = [f"  {name:<13}{text}" for name, text in _COMMANDS.items()]
    return "\n".join(
        [
            "usage: vidbench COMMAND [OPTION ...]",
            "       vidbench --version",
            "",
            *lines,
            "",
            "`vidbench COMMAND --help` lists the options of a command. Try this first:",
            "",
            f"  {_EXAMPLE}",
        ]
    )
