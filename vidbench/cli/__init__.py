"""The ``vidbench`` command."""

from vidbench.cli.main import main as main
