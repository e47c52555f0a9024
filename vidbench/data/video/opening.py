"""Open files and streams with any supported version of PyAV."""

from __future__ import annotations

from typing import Any

import av
from av.container import InputContainer

_HAS_METADATA_ERRORS = int(av.__version__.partition(".")[0]) < 19


def open_container(address: str, **options: Any) -> InputContainer:
    """Open a file or a stream for reading; metadata may be in any encoding.

    Args:
        address: Absolute path, or URL.
        **options: Options of :func:`av.open`.

    Raises:
        OSError: It cannot be opened.
    """
    if _HAS_METADATA_ERRORS:  # PyAV 19 reads any encoding, and has no option for it
        options["metadata_errors"] = "replace"
    container: InputContainer = av.open(address, **options)
    return container
