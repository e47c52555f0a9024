"""A SavedModel as one frozen graph, optimised once and kept, so that it starts at once next time.

Its variables become constants, which lets TensorFlow fold and fuse what it cannot otherwise.
"""

from __future__ import annotations

import hashlib
import logging
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import xxhash

from vidbench.files import replacing, sweep
from vidbench.models._frameworks import import_graph_tools, import_tensorflow
from vidbench.models._optimise import optimise
from vidbench.models._signature import read_signature
from vidbench.models._weights import Weights
from vidbench.models.base import GRAPH_FOLDER

logger = logging.getLogger(__name__)

PixelRange = tuple[float, float]

_GRAPH_VERSION = 1  # raised whenever a graph is made otherwise
_CHECKSUM_BYTES = 16


class UnfreezableError(Exception):
    """A model cannot become one graph of constants."""


class Recipe(NamedTuple):
    """What decides a frozen graph.

    Attributes:
        folder: Holds the SavedModel.
        pixel_range: What 0 and 255 become; scaled inside the graph.
        precision: ``fp32`` or ``bf16``.
        optimise: Whether TensorFlow's graph optimiser is run on it, for this machine's CPU.
    """

    folder: Path
    pixel_range: PixelRange
    precision: str
    optimise: bool

    def file_name(self) -> str:
        """Of the kept graph: TensorFlow's version, then a digest of all that decides it."""
        parts = (_GRAPH_VERSION, Weights(self.folder).digest(), *self[1:], *_cpu())
        digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
        return f"{_version_prefix()}{self.precision}-{digest}.pb"


class GraphUsage(NamedTuple):
    """How many graphs are kept, and in how many bytes."""

    models: int
    num_bytes: int


class KeptGraphs:
    """The graphs kept in one folder; constructing it touches no disk, nothing loads TensorFlow."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def usage(self) -> GraphUsage:
        """What is there."""
        return _usage(self._paths())

    def prune(self, name: str | None = None) -> GraphUsage:
        """What was removed: graphs of other versions of TensorFlow, or with a name maybe all.

        Args:
            name: ``graphs`` or ``all`` for all of them; any other name means none.
        """
        stale = [path for path in self._paths() if not path.name.startswith(_version_prefix())]
        everything = self._paths() if name in (GRAPH_FOLDER, "all") else []
        chosen = stale if name is None else everything
        removed = _usage(chosen)
        for path in chosen:
            path.unlink(missing_ok=True)
        sweep(self._folder, "")
        return removed

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("tensorflow-*.pb"))


def frozen_graph(recipe: Recipe, graph_dir: Path | None) -> Any:
    """The ``MetaGraphDef`` whose signature ``serve`` takes uint8 clips and gives probabilities.

    Args:
        recipe: What to freeze.
        graph_dir: Folder of kept graphs; None keeps nothing.

    Raises:
        UnfreezableError: The model has other state than variables.
    """
    if graph_dir is None:
        return _freeze(recipe)
    path = graph_dir / recipe.file_name()
    if (kept := _read(path)) is not None:
        return kept
    graph = _freeze(recipe)
    try:
        _write(path, graph.SerializeToString())
    except OSError as error:
        logger.warning("%s could not be kept: %s", path, error)
    return graph


def _version_prefix() -> str:
    return f"tensorflow-{metadata.version('tensorflow')}-"


def _usage(paths: Sequence[Path]) -> GraphUsage:
    return GraphUsage(len(paths), sum(path.stat().st_size for path in paths))


def serving_function(folder: Path, pixel_range: PixelRange) -> Any:
    """A function of uint8 clips; scaling, the network and softmax in one graph.

    It keeps the loaded model, and so its variables, alive.
    """
    tf = import_tensorflow()
    # A module in TF1 Hub format has this file, and its graph for inference has no tags.
    hub_v1 = (folder / "tfhub_module.pb").exists()
    module = tf.saved_model.load(str(folder), tags=[] if hub_v1 else None)
    entry = read_signature(folder)
    signature = module.signatures[entry.name]
    low, high = pixel_range
    (spec,) = signature.structured_input_signature[1].values()

    @tf.function(input_signature=[tf.TensorSpec([None] * 5, tf.uint8)])
    def serve(clips: Any) -> Any:
        pixels = tf.cast(clips, tf.float32) * ((high - low) / 255) + low
        pixels = tf.ensure_shape(pixels, spec.shape)
        logits = signature(**{entry.input_name: pixels})[entry.output_name]
        return tf.nn.softmax(tf.reshape(logits, [tf.shape(clips)[0], -1]))

    serve.module = module
    return serve


def _freeze(recipe: Recipe) -> Any:
    tf, convert_to_constants, _ = import_graph_tools()
    serve = serving_function(recipe.folder, recipe.pixel_range)
    function = serve.get_concrete_function()
    variables = {id(v.handle) for v in function.graph.variables}
    if any(id(outer) not in variables for outer, _ in function.graph.captures):
        raise UnfreezableError(f"{recipe.folder} has state that is no variable")
    inlined = convert_to_constants._FunctionConverterDataInEager(function, True, True)
    # The public function would go on to make a function of the graph, which takes seconds.
    frozen, _ = convert_to_constants._replace_variables_by_constants(inlined)
    try:
        with tf.Graph().as_default():
            tf.graph_util.import_graph_def(frozen, name="")
    except ValueError as error:
        raise UnfreezableError(f"{recipe.folder} changes its own variables") from error
    meta = tf.compat.v1.MetaGraphDef(graph_def=frozen)
    entry = meta.signature_def["serve"]  # the optimiser keeps what a signature names
    for ends, name, tensor in (
        (entry.inputs, "clips", function.inputs[0]),
        (entry.outputs, "scores", function.outputs[0]),
    ):
        ends[name].name, ends[name].dtype = tensor.name, tensor.dtype.as_datatype_enum
        ends[name].tensor_shape.CopyFrom(tensor.shape.as_proto())
    if recipe.optimise:
        optimise(meta, recipe.precision)
        if recipe.precision == "bf16" and not _computes_in_bf16(meta.graph_def):
            raise UnfreezableError("this processor, or this model, has no use for bfloat16")
    return meta


def _computes_in_bf16(graph: Any) -> bool:
    bfloat16 = import_tensorflow().bfloat16.as_datatype_enum
    return any(node.attr["T"].type == bfloat16 for node in graph.node if "T" in node.attr)


def _read(path: Path) -> Any:
    """The graph that was kept, or None if there is none or it is damaged."""
    try:
        content = memoryview(path.read_bytes())
    except OSError:
        return None
    checksum, graph = content[:_CHECKSUM_BYTES], content[_CHECKSUM_BYTES:]
    if xxhash.xxh3_128_digest(graph) != checksum:
        logger.warning("%s does not hold what was written: making it again", path)
        return None
    return import_tensorflow().compat.v1.MetaGraphDef.FromString(graph)


def _write(path: Path, graph: bytes) -> None:
    sweep(path.parent, "")
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(xxhash.xxh3_128_digest(graph))
        file.write(graph)


def _cpu() -> tuple[str, ...]:
    """What is known of the processor: the optimiser looks at what it can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return (platform.machine(), platform.processor())
    return tuple(sorted({line for line in lines if line.startswith(("flags", "Features"))}))
