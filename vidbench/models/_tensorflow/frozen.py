"""A SavedModel as one frozen graph, optimised once and kept, so that it starts at once next time.

Its variables become constants, which lets TensorFlow fold and fuse what it cannot otherwise.
"""

from __future__ import annotations

import hashlib
import logging
import platform
from pathlib import Path
from typing import Any, NamedTuple

from vidbench.errors import ModelError
from vidbench.models._files.interface import BYTES, Interface, is_integer
from vidbench.models._files.interface import PixelRange as PixelRange
from vidbench.models._files.signature import read_meta_graph, read_signature
from vidbench.models._tensorflow.imports import import_graph_tools, import_tensorflow
from vidbench.models._tensorflow.kept_graphs import Frozen, KeptGraphs
from vidbench.models._tensorflow.optimise import optimise
from vidbench.models._tensorflow.weights import Weights
from vidbench.terminal.sanitize import one_line

logger = logging.getLogger(__name__)


class UnfreezableError(Exception):
    """A model cannot become one graph of constants."""


class Recipe(NamedTuple):
    """What decides a frozen graph.

    Attributes:
        folder: Holds the SavedModel.
        pixel_range: What 0 and 255 become; scaled inside the graph.
        precision: ``fp32`` or ``bf16``.
        optimise: Whether TensorFlow's graph optimiser is run on it, for this machine's CPU.
        interface: What the network wants of pixels beside their range, and what it gives.
    """

    folder: Path
    pixel_range: PixelRange
    precision: str
    optimise: bool
    interface: Interface = Interface()

    def file_name(self) -> str:
        """Of the kept graph: it tells apart all that decides it."""
        said = () if self.interface == Interface() else (self.interface,)
        parts = (Weights(self.folder).digest(), *self[1:4], *said, *_cpu())
        digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
        return KeptGraphs.name(self.precision, digest)


def frozen_graph(recipe: Recipe, graph_dir: Path | None) -> Frozen:
    """The graph whose signature ``serve`` takes uint8 clips and gives probabilities.

    Args:
        recipe: What to freeze.
        graph_dir: Folder of kept graphs; None keeps nothing.

    Raises:
        UnfreezableError: The model has other state than variables.
    """
    if graph_dir is None:
        return _freeze(recipe)
    kept, name = KeptGraphs(graph_dir), recipe.file_name()
    if found := kept.read(name):
        logger.debug("taking the graph kept as %s", graph_dir / name)
        return found
    logger.debug("making a graph of %s, to be kept as %s", recipe.folder, graph_dir / name)
    frozen = _freeze(recipe)
    try:
        kept.write(name, frozen)
    except OSError as error:
        logger.warning("%s could not be kept: %s", graph_dir / name, error)
        return frozen
    return kept.read(name) or frozen  # as every later time: weights lie where they should


def serving_function(
    folder: Path, pixel_range: PixelRange, interface: Interface | None = None
) -> Any:
    """A function of uint8 clips; scaling, the network and softmax in one graph.

    It keeps the loaded model, and so its variables, alive.

    Raises:
        ModelError: TensorFlow cannot load it.
    """
    wanted = interface or Interface()
    tf = import_tensorflow()
    module = _load(tf, folder)
    entry = read_signature(folder, wanted.output_name, wanted.signature_name)
    signature = module.signatures[entry.name]
    (spec,) = signature.structured_input_signature[1].values()
    lengths = signature.structured_outputs[entry.output_name].shape
    single = lengths.rank is not None and lengths[1:].num_elements() == 1

    @tf.function(input_signature=[tf.TensorSpec([None] * 5, tf.uint8)])
    def serve(clips: Any) -> Any:
        pixels = tf.ensure_shape(_pixels(tf, clips, spec, pixel_range, wanted), spec.shape)
        scores = signature(**{entry.input_name: pixels})[entry.output_name]
        if scores.dtype != tf.float32:
            scores = tf.cast(scores, tf.float32)
        rows = tf.reshape(scores, [tf.shape(clips)[0], -1])
        if single:  # that of the second of two classes
            second = rows if wanted.output == "probabilities" else tf.sigmoid(rows)
            return tf.concat([1 - second, second], axis=1)
        return tf.identity(rows) if wanted.output == "probabilities" else tf.nn.softmax(rows)

    serve.module = module
    return serve


def _load(tf: Any, folder: Path) -> Any:
    tags = list(read_meta_graph(folder).meta_info.tags)
    try:
        return tf.saved_model.load(str(folder), tags=tags)
    except Exception as error:  # of any kind, by what is wrong with its files
        raise ModelError(f"{folder} cannot be loaded: {one_line(error)}") from error


def _pixels(tf: Any, clips: Any, spec: Any, pixel_range: PixelRange, wanted: Interface) -> Any:
    """Clips as the signature takes them."""
    low, high = pixel_range
    pixels, whole = clips, is_integer(spec.dtype.name)
    if not whole or pixel_range != BYTES:
        pixels = tf.cast(clips, tf.float32) * ((high - low) / 255)
    if low:
        pixels += low
    if wanted.normalises:
        pixels = (pixels - tf.constant(wanted.mean)) / tf.constant(wanted.std)
    if wanted.layout != "BTHWC":
        pixels = tf.transpose(pixels, wanted.axes)
    if wanted.views_axis is not None:
        views = spec.shape[wanted.views_axis] if spec.shape.rank is not None else None
        pixels = tf.repeat(tf.expand_dims(pixels, wanted.views_axis), views or 1, wanted.views_axis)
    if pixels.dtype != spec.dtype:
        pixels = tf.cast(tf.round(pixels) if whole else pixels, spec.dtype)
    return pixels


def _freeze(recipe: Recipe) -> Frozen:
    tf, convert_to_constants, _ = import_graph_tools()
    serve = serving_function(recipe.folder, recipe.pixel_range, recipe.interface)
    function = serve.get_concrete_function()
    variables = {id(v.handle) for v in function.graph.variables}
    if any(id(outer) not in variables for outer, _ in function.graph.captures):
        raise UnfreezableError(f"{recipe.folder} has state that is no variable")
    try:
        inlined = convert_to_constants._FunctionConverterDataInEager(function, True, True)
        # The public function would go on to make a function of the graph, which takes seconds.
        frozen, _ = convert_to_constants._replace_variables_by_constants(inlined)
    except (KeyError, ValueError) as error:  # e.g. reference variables, the older kind of TF1
        raise UnfreezableError(f"{recipe.folder} has variables of another kind") from error
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
    if not recipe.optimise:
        return Frozen(meta, {})
    weights = optimise(meta, recipe.precision)
    if recipe.precision == "bf16" and not _computes_in_bf16(meta.graph_def):
        raise UnfreezableError("this processor, or this model, has no use for bfloat16")
    return Frozen(meta, weights)


def _computes_in_bf16(graph: Any) -> bool:
    bfloat16 = import_tensorflow().bfloat16.as_datatype_enum
    return any(node.attr["T"].type == bfloat16 for node in graph.node if "T" in node.attr)


def _cpu() -> tuple[str, ...]:
    """What is known of the processor: the optimiser looks at what it can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return (platform.machine(), platform.processor())
    return tuple(sorted({line for line in lines if line.startswith(("flags", "Features"))}))
