"""Imports of TensorFlow and what belongs to it: late, because they take seconds, and quiet."""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_TENSORFLOW_NOISE = re.compile(
    rb"^([IW]\d{4} |WARNING: All log messages before absl::"
    rb"|INFO: |E\d{4} .*(failed call to cuInit|Unable to register cu))"
)


def import_tensorflow() -> Any:
    """TensorFlow, without its messages about itself unless debugging is on."""
    if "tensorflow" in sys.modules:
        import tensorflow
    elif logging.getLogger("vidbench").isEnabledFor(logging.DEBUG):
        with _without_keras():
            import tensorflow
    else:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with without_noise(), _without_keras():
            import tensorflow

    return tensorflow


def has_gpu(tensorflow: Any) -> bool:
    """Whether TensorFlow may use a GPU, asked quietly: to have none is an error to it."""
    if logging.getLogger("vidbench").isEnabledFor(logging.DEBUG):
        return bool(tensorflow.config.get_visible_devices("GPU"))
    with without_noise():
        return bool(tensorflow.config.get_visible_devices("GPU"))


def import_graph_tools() -> tuple[Any, Any, Any]:
    """TensorFlow, its module that turns variables into constants, and its graph optimiser."""
    tensorflow = import_tensorflow()
    from tensorflow.python.framework import convert_to_constants
    from tensorflow.python.grappler import tf_optimizer

    return tensorflow, convert_to_constants, tf_optimizer


def import_tensorflow_hub() -> Any:
    """TensorFlow Hub, without the warning about the ``pkg_resources`` that it still uses."""
    import_tensorflow()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "pkg_resources is deprecated")
        import tensorflow_hub

    return tensorflow_hub


def import_keras() -> Any:
    """Keras, on TensorFlow unless somebody has chosen another backend."""
    import_tensorflow()
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with without_noise():
        import keras

    return keras


def import_tf_keras() -> Any:
    """Keras 2, which runs on TensorFlow alone, and reads what it wrote."""
    import_tensorflow()
    with without_noise():
        import tf_keras

    return tf_keras


TFLITE_LIBRARIES = ("ai_edge_litert", "tensorflow", "tflite_runtime")
"""What has an interpreter of TFLite models, in the order in which they are looked for."""


def import_tflite() -> Any:
    """What makes an interpreter, of the first library that is there.

    TensorFlow's own says that it will move to ``ai_edge_litert``.
    """
    library = next(name for name in TFLITE_LIBRARIES if importlib.util.find_spec(name))
    if library != "tensorflow":
        return importlib.import_module(f"{library}.interpreter").Interpreter
    interpreter = import_tensorflow().lite.Interpreter

    def make(**options: Any) -> Any:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*tf.lite.Interpreter is deprecated")
            return interpreter(**options)

    return make


@contextmanager
def _without_keras() -> Iterator[None]:
    """Keeps TensorFlow from importing Keras with it, which would double the time.

    No SavedModel needs Keras. Whoever asks for ``tf.keras`` later gets it, imported then.
    """
    if "keras" in sys.modules:
        yield
        return
    sys.modules["keras"] = None  # type: ignore[assignment]  # makes its import fail
    try:
        yield
    finally:
        del sys.modules["keras"]
    _let_keras_be_found()


def _let_keras_be_found() -> None:
    """Repairs what ``import tensorflow.keras`` needs: TensorFlow looked for it in vain."""
    package = sys.modules["tensorflow"]
    found = importlib.util.find_spec("keras")
    places = list(found.submodule_search_locations or []) if found else []
    package.__path__ = [
        *(place for place in package.__path__ if place is not None),
        *(str(Path(place) / "_tf_keras") for place in places),
    ]


@contextmanager
def without_noise() -> Iterator[None]:
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
