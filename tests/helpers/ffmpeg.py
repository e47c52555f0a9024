"""The ffmpeg program, with which pixels and frames are compared."""

from __future__ import annotations

import importlib.util
import os
import shutil

import pytest


def find_ffmpeg() -> str:
    """The program that imageio-ffmpeg brings, or else the system's; skips where there is neither.

    In continuous integration it has to be there.
    """
    if importlib.util.find_spec("imageio_ffmpeg") is not None:
        return str(importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe())
    program = shutil.which("ffmpeg")
    if program is None and os.environ.get("CI") == "true":
        pytest.fail("no ffmpeg: install requirements-dev.txt")
    if program is None:
        pytest.skip("no ffmpeg: install imageio-ffmpeg")
    return program
