"""TensorFlow's graph optimiser, run on a frozen graph without its weights.

The optimiser copies all constants many times over, which takes seconds and a gigabyte. So large
ones are taken out of the graph, and what it would do with them, little enough, is done here.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from vidbench.models._tensorflow.imports import import_graph_tools

_LARGE = 1 << 12  # values of a constant that is hidden
_CONVOLUTIONS = frozenset({"Conv2D", "Conv3D"})
_CPU = "/job:localhost/replica:0/task:0/device:CPU:0"  # it fuses nothing without a device
_CHANNELS_LAST = (b"", b"NHWC", b"NDHWC")

Weights = dict[str, NDArray[Any]]


def optimise(meta: Any, precision: str) -> Weights:
    """The large weights of a ``MetaGraphDef`` whose graph is optimised in place, for this CPU.

    They stay out of it: placeholders of these names take them, which saves three more copies of
    them in memory, and costs a convolution 2 % of its time.

    Args:
        meta: Its constants hold all weights; its signatures name what must stay.
        precision: With ``bf16`` what can be is computed in bfloat16.
    """
    weights = _hide(meta.graph_def)
    _run_optimiser(meta, "fp32")
    _drop_waits(meta.graph_def, weights)
    _fold_scales(meta.graph_def, weights)
    _name_biases(meta.graph_def, weights)
    _run_optimiser(meta, precision)
    _run_optimiser(meta, "fp32")  # folds what the step before cast of small constants
    return _in_use(meta.graph_def, weights)


def _run_optimiser(meta: Any, precision: str) -> None:
    tf, _, tf_optimizer = import_graph_tools()
    config = tf.compat.v1.ConfigProto()
    rewrites = config.graph_options.rewrite_options
    rewrites.meta_optimizer_iterations = 1
    if precision == "bf16":
        rewrites.auto_mixed_precision_onednn_bfloat16 = 1
    for node in meta.graph_def.node:
        node.device = _CPU
    meta.graph_def.CopyFrom(tf_optimizer.OptimizeGraph(config, meta))


def _hide(graph: Any) -> Weights:
    """The large constants of real numbers, by name; placeholders stand where they were."""
    tf, _, _ = import_graph_tools()
    weights: Weights = {}
    for node in graph.node:
        if node.op == "Const" and _num_values(node) >= _LARGE:
            dtype = tf.dtypes.as_dtype(node.attr["dtype"].type)
            if dtype.is_floating:
                weights[node.name] = tf.make_ndarray(node.attr["value"].tensor)
                _make_placeholder(node, dtype.as_datatype_enum, weights[node.name].shape)
    return weights


def _num_values(constant: Any) -> int:
    dims = constant.attr["value"].tensor.tensor_shape.dim
    return math.prod(dim.size for dim in dims)


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


def _name_biases(graph: Any, weights: Weights) -> None:
    """Makes a bias of what is added to a convolution's output channel by channel: it is fused."""
    tf, _, _ = import_graph_tools()
    nodes = {node.name: node for node in graph.node}
    for node in list(graph.node):
        if node.op not in ("Add", "AddV2"):
            continue
        for one, other in (node.input[:2], node.input[1::-1]):
            conv, bias = _behind_identities(nodes, one), nodes[_name(other)]
            if conv.op not in _CONVOLUTIONS or bias.op != "Const":
                continue
            weight, values = _name(conv.input[1]), tf.make_ndarray(bias.attr["value"].tensor)
            if weight not in weights or values.size != weights[weight].shape[-1]:
                continue
            if _is_by_channel(conv, values):
                added = graph.node.add(name=f"{node.name}/bias")
                _make_constant(added, values.reshape(-1))
                node.op, node.input[:] = "BiasAdd", [one, added.name]
                break


def _behind_identities(nodes: dict[str, Any], source: str) -> Any:
    node = nodes[_name(source)]
    while node.op == "Identity":
        node = nodes[_name(node.input[0])]
    return node


def _is_by_channel(convolution: Any, factors: NDArray[Any]) -> bool:
    """Whether the factors differ along the last axis only, which is that of the channels."""
    layout = convolution.attr["data_format"].s
    return layout in _CHANNELS_LAST and factors.size == (factors.shape or (1,))[-1]


def _in_use(graph: Any, weights: Weights) -> Weights:
    """The weights that the graph uses, in the precision that each is used in."""
    tf, _, _ = import_graph_tools()
    for node in graph.node:
        if node.op == "Cast" and (source := _name(node.input[0])) in weights:
            dtype = tf.dtypes.as_dtype(node.attr["DstT"].type)
            weights[node.name] = weights[source].astype(dtype.as_numpy_dtype)
            _make_placeholder(node, dtype.as_datatype_enum, weights[node.name].shape)
    used = {_name(source) for node in graph.node for source in node.input}
    for node in list(graph.node):
        if node.name in weights and node.name not in used:
            graph.node.remove(node)
    return {name: weights[name] for name in weights if name in used}


def _make_placeholder(node: Any, dtype: int, shape: Sequence[int]) -> None:
    placeholder = type(node)(
        name=node.name,
        op="Placeholder",
    )
    placeholder.attr["dtype"].type = dtype
    for size in shape:
        placeholder.attr["shape"].shape.dim.add(size=size)
    node.CopyFrom(placeholder)


def _make_constant(node: Any, value: NDArray[Any]) -> None:
    tf, _, _ = import_graph_tools()
    constant = type(node)(name=node.name, op="Const")
    constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    constant.attr["dtype"].type = constant.attr["value"].tensor.dtype
    node.CopyFrom(constant)


def _name(source: str) -> str:
    """The node behind one of a node's inputs."""
    return source.removeprefix("^").partition(":")[0]
