"""A SavedModel, loaded: uint8 clips in, probabilities out."""

from __future__ import annotations

import ctypes
import gc
import logging
import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidbench.data.records import Views
from vidbench.errors import ConfigError, ModelError
from vidbench.models._files.arrays import in_full_batches
from vidbench.models._files.interface import Interface
from vidbench.models._precision import warn_of_slow_bf16
from vidbench.models._scores import OTHER, Undeclared
from vidbench.models._tensorflow.frozen import (
    PixelRange,
    Recipe,
    UnfreezableError,
    frozen_graph,
    serving_function,
)
from vidbench.models._tensorflow.imports import has_gpu, import_tensorflow
from vidbench.models._tensorflow.kept_graphs import Frozen
from vidbench.models._tensorflow.weights import Weights
from vidbench.models.base import GRAPH_FOLDER
from vidbench.system.machine import available_cores
from vidbench.system.runtime import Runtime

logger = logging.getLogger(__name__)

_PIECE_VALUES = 1 << 24
"""Input values that go through the network at once on a CPU: a clip of 100 frames, or six of 16.

Measured with I3D: one clip at a time is as fast as four within 5 %, and takes 0.9 GB less memory.
"""


class SavedModelClassifier:
    """A SavedModel whose signature takes clips and gives logits or probabilities.

    Args:
        weights: Where the SavedModel is.
        runtime: On what it runs; ``bf16`` on a GPU is float16 with TF32 (not tried yet). The
            frozen graph is kept in its cache.
        pixel_range: What 0 and 255 become; scaled inside the graph.
        interface: What else is done to them there, and what comes out.
        batch: How many clips the signature takes, no fewer and no more; None for any number.
        ending: The network's last operation; where its file does not tell (None) and nobody says
            what it gives, its first scores are looked at.

    Raises:
        ConfigError: TensorFlow computes in another number of threads already.
        ModelError: It cannot be run in bf16, or there is no such device.
    """

    def __init__(
        self,
        weights: Weights,
        runtime: Runtime = Runtime(),
        *,
        pixel_range: PixelRange = (0.0, 1.0),
        interface: Interface | None = None,
        batch: int | None = None,
        ending: str | None = OTHER,
    ) -> None:
        tf = import_tensorflow()
        choose_device(tf, runtime.device)
        choose_threads(tf, runtime.num_threads)
        on_gpu = has_gpu(tf)
        if not on_gpu:
            warn_of_slow_bf16(runtime.precision)
        recipe = Recipe(
            weights.folder, pixel_range, runtime.precision, not on_gpu, interface or Interface()
        )
        tf.config.experimental.enable_tensor_float_32_execution(runtime.precision != "fp32")
        self._piece_values = math.inf if on_gpu else _PIECE_VALUES
        self._batch = batch
        self._run = _runner(tf, recipe, None if on_gpu else _graph_dir(runtime))
        self._look = None
        if ending is None and recipe.interface.output is None:
            self._look = _Look(recipe)
        _return_freed_memory()

    def predict(self, clips: Views) -> NDArray[np.float32]:
        """Probabilities, (batch, classes), of clips (batch, frames, height, width, 3) uint8 RGB."""
        if self._batch is not None:
            return in_full_batches(clips, self._batch, self._batch, self._run_piece)
        num_pieces = min(len(clips), math.ceil(clips.size / self._piece_values))
        pieces = np.array_split(clips, max(1, num_pieces))
        return np.concatenate([self._run_piece(piece) for piece in pieces])

    def _run_piece(self, clips: Views) -> NDArray[np.float32]:
        if self._look is not None:
            self._look = self._look.settled(clips)
        return np.asarray(self._run(clips), np.float32)


def _graph_dir(runtime: Runtime) -> Path | None:
    return None if runtime.cache_dir is None else runtime.cache_dir / GRAPH_FOLDER


class _Look:
    """Looks at what a network gives before the softmax, which is a part of the frozen graph."""

    def __init__(self, recipe: Recipe) -> None:
        as_given = recipe.interface._replace(output="probabilities")
        self._run = serving_function(recipe.folder, recipe.pixel_range, as_given)
        self._undeclared = Undeclared(None)

    def settled(self, clips: Views) -> _Look | None:
        """None, once enough was seen.

        Raises:
            ModelError: They are probabilities.
        """
        self._undeclared.look(np.asarray(self._run(clips), np.float32))
        return None if self._undeclared.is_settled else self


def choose_device(tf: Any, device: str) -> None:
    """Lets TensorFlow use this device alone.

    Args:
        tf: TensorFlow.
        device: ``auto`` for all that there are, ``cpu``, ``cuda`` or ``cuda:<number>``.

    Raises:
        ModelError: There is no such device.
    """
    if device == "auto":
        return
    kind, _, number = device.partition(":")
    found = tf.config.list_physical_devices("GPU") if kind == "cuda" else []
    chosen = found if not number else found[int(number) : int(number) + 1]
    if device != "cpu" and not chosen:
        raise ModelError(f"--device {device}: TensorFlow finds no such device here")
    tf.config.set_visible_devices(chosen, "GPU")


def choose_threads(tf: Any, num_threads: int | None) -> None:
    """Lets TensorFlow compute one operation after another, each in so many threads.

    It makes its threads once in a process, at its first operation or session, and a session ignores
    in silence what is asked for later. So it is made to begin here; a device is chosen before.

    Args:
        tf: TensorFlow.
        num_threads: On the processor; None for one a core, of a container too, or for those that
            it has made already.

    Raises:
        ConfigError: It has made another number of threads already.
    """
    threading = tf.config.threading
    try:
        threading.set_inter_op_parallelism_threads(1)
        threading.set_intra_op_parallelism_threads(num_threads or available_cores())
    except RuntimeError as error:
        if num_threads is not None:
            made = threading.get_intra_op_parallelism_threads() or "as many as it chose"
            raise ConfigError(
                f"--num_threads {num_threads}: TensorFlow has made {made} in this process already: "
                "load the model in another process, or before TensorFlow is used"
            ) from error
    tf.config.list_logical_devices("CPU")


def _runner(tf: Any, recipe: Recipe, graph_dir: Path | None) -> Callable[[Views], Any]:
    """A function from clips to probabilities."""
    try:
        return _session(tf, frozen_graph(recipe, graph_dir), recipe)
    except UnfreezableError as error:
        if recipe.precision != "fp32":
            raise ModelError(f"{error}: it runs in fp32 only, not {recipe.precision}") from error
        logger.warning("%s: it is run as it was saved, which is slower", error)
        run: Callable[[Views], Any] = serving_function(
            recipe.folder, recipe.pixel_range, recipe.interface
        )
        return run


def _session(tf: Any, frozen: Frozen, recipe: Recipe) -> Callable[[Views], Any]:
    v1 = tf.compat.v1
    # Operations one after another, each in all threads: within 5 % as fast, in less memory.
    config = v1.ConfigProto(allow_soft_placement=True, inter_op_parallelism_threads=1)
    config.gpu_options.allow_growth = True
    rewrites = config.graph_options.rewrite_options
    rewrites.disable_meta_optimizer = recipe.optimise  # done already
    if recipe.precision == "bf16":
        rewrites.auto_mixed_precision = 1
    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(frozen.meta.graph_def, name="")
    serve = frozen.meta.signature_def["serve"]
    fed = [serve.inputs["clips"].name, *(f"{name}:0" for name in frozen.weights)]
    run = v1.Session(graph=graph, config=config).make_callable(serve.outputs["scores"].name, fed)
    return lambda clips: run(clips, *frozen.weights.values())


def _return_freed_memory() -> None:
    """Gives the system back what loading took and the C library keeps, up to 200 MB with I3D."""
    gc.collect()
    with suppress(OSError, AttributeError):  # glibc has it, other libraries need not
        ctypes.CDLL(None).malloc_trim(0)
