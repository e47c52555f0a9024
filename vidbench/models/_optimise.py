"""TensorFlow's graph optimiser, run on a frozen graph without its weights.

The optimiser copies all constants many times over, which takes seconds and a gigabyte. So large
ones are hidden from it, and what it would do with them, little enough, is done here.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidbench.models._frameworks import import_graph_tools

_LARGE = 1 << 12  # values of a constant that is hidden
_CONVOLUTIONS = frozenset({"Conv2D", "Conv3D"})
_CHANNELS_LAST = (b"", b"NHWC", b"NDHWC")

Weights = dict[str, NDArray[Any]]


def optimise(meta: Any, precision: str) -> None:
    """Optimises the graph of a ``MetaGraphDef`` in place, for this machine's CPU.

    Args:
        meta: Its constants hold all weights; its signatures name what must stay.
        precision: With ``bf16`` what can be is computed in bfloat16.
    """
    weights = _hide(meta.graph_def)
    _run_optimiser(meta, "fp32")
    _drop_waits(meta.graph_def, weights)
    _fold_scales(meta.graph_def, weights)
    _run_optimiser(meta, precision)
    _run_optimiser(meta, "fp32")  # folds what the step before cast of small constants
    _reveal(meta.graph_def, weights)


def _run_optimiser(meta: Any, precision: str) -> None:
    tf, _, tf_optimizer = import_graph_tools()
    config = tf.compat.v1.ConfigProto()
    rewrites = config.graph_options.rewrite_options
    rewrites.meta_optimizer_iterations = 1
    if precision == "bf16":
        rewrites.auto_mixed_precision_onednn_bfloat16 = 1
    meta.graph_def.CopyFrom(tf_optimizer.OptimizeGraph(config, meta))


def _hide(graph: Any) -> Weights:
    """The large constants by name; placeholders stand where they were."""
    tf, _, _ = import_graph_tools()
    weights: Weights = {}
    for node in graph.node:
        if node.op != "Const" or _num_values(node) < _LARGE:
            continue
        weights[node.name] = tf.make_ndarray(node.attr["value"].tensor)
        dtype, shape = node.attr["dtype"].type, node.attr["value"].tensor.tensor_shape
        hidden = type(node)(name=node.name, op="Placeholder", input=node.input)
        hidden.attr["dtype"].type = dtype
        hidden.attr["shape"].shape.CopyFrom(shape)
        node.CopyFrom(hidden)
    return weights


def _num_values(node: Any) -> int:
    dims = node.attr["value"].tensor.tensor_shape.dim
    return int(np.prod([dim.size for dim in dims]))


def _drop_waits(graph: Any, weights: Weights) -> None:
    """Lets no node wait for a weight: the optimiser took it for an input, which may come late."""
    waits = {f"^{name}" for name in weights}
    for node in graph.node:
        node.input[:] = [source for source in node.input if source not in waits]


def _fold_scales(graph: Any, weights: Weights) -> None:
    """Multiplies weights by what the convolution's output is multiplied by, channel by channel.

    Batch normalisation ends in such a product.
    """
    tf, _, _ = import_graph_tools()
    nodes = {node.name: node for node in graph.node}
    uses = Counter(_name(source) for node in graph.node for source in node.input)
    for node in graph.node:
        if node.op != "Mul":
            continue
        for one, other in (node.input[:2], node.input[1::-1]):
            conv, scale = nodes[_name(one)], nodes[_name(other)]
            if conv.op not in _CONVOLUTIONS or scale.op != "Const" or uses[conv.name] > 1:
                continue
            weight = _name(conv.input[1])
            factors = tf.make_ndarray(scale.attr["value"].tensor)
            if weight in weights and uses[weight] == 1 and _is_by_channel(conv, factors):
                weights[weight] = weights[weight] * factors.reshape(-1)
                node.op, node.input[:] = "Identity", [conv.name]
                break


def _is_by_channel(convolution: Any, factors: NDArray[Any]) -> bool:
    """Whether the factors differ along the last axis only, which is that of the channels."""
    layout = convolution.attr["data_format"].s
    return layout in _CHANNELS_LAST and factors.size == (factors.shape or (1,))[-1]


def _reveal(graph: Any, weights: Weights) -> None:
    """Puts the weights back, in the precision that each is used in."""
    tf, _, _ = import_graph_tools()
    for node in graph.node:
        if node.op == "Cast" and (source := _name(node.input[0])) in weights:
            dtype = tf.dtypes.as_dtype(node.attr["DstT"].type)
            _make_constant(node, weights[source].astype(dtype.as_numpy_dtype))
    used = {_name(source) for node in graph.node for source in node.input}
    for node in list(graph.node):
        if node.name in weights and node.op == "Placeholder":
            if node.name in used:
                _make_constant(node, weights[node.name])
            else:
                graph.node.remove(node)


def _make_constant(node: Any, value: NDArray[Any]) -> None:
    tf, _, _ = import_graph_tools()
    constant = type(node)(name=node.name, op="Const")
    constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    constant.attr["dtype"].type = constant.attr["value"].tensor.dtype
    node.CopyFrom(constant)


def _name(source: str) -> str:
    """The node behind one of a node's inputs."""
    return source.removeprefix("^").partition(":")[0]
