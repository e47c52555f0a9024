"""Imports of TensorFlow and TensorFlow Hub: late, because they take seconds, and quiet."""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_TENSORFLOW_NOISE = re.compile(rb"^([IW]\d{4} |WARNING: All log messages before absl::)")


def import_tensorflow() -> Any:
    """TensorFlow, without its messages about itself unless debugging is on."""
    if "tensorflow" in sys.modules or logging.getLogger("vidbench").isEnabledFor(logging.DEBUG):
        import tensorflow
    else:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with _without_noise():
            import tensorflow

    return tensorflow


def import_tensorflow_hub() -> Any:
    """TensorFlow Hub, without the warning about the ``pkg_resources`` that it still uses."""
    import_tensorflow()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "pkg_resources is deprecated")
        import tensorflow_hub

    return tensorflow_hub


@contextmanager
def _without_noise() -> Iterator[None]:
    """Holds standard error back meanwhile, and then lets pass what is not TensorFlow's chatter.

    TensorFlow writes it from C++ before it looks at its own log level.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            for line in held:
                if not _TENSORFLOW_NOISE.match(line):
                    os.write(2, line)
