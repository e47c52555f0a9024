"""Files and streams opened by FFmpeg, whatever the version of PyAV."""

from __future__ import annotations

from typing import Any

import av
from av.container import InputContainer

_HAS_METADATA_ERRORS = int(av.__version__.partition(".")[0]) < 19


def open_container(address: str, **options: Any) -> InputContainer:
    """A file or a stream, opened for reading, whatever the encoding of its titles.

    Args:
        address: Absolute path, or URL.
        **options: As :func:`av.open` takes them.

    Raises:
        OSError: It cannot be opened.
    """
    if _HAS_METADATA_ERRORS:  # PyAV 19 reads any encoding, and has no option for it
        options["metadata_errors"] = "replace"
    container: InputContainer = av.open(address, **options)
    return container
