"""The type of the fixture that runs the real command."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

RunCli = Callable[..., "subprocess.CompletedProcess[str]"]
