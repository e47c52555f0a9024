"""How much of what TensorFlow can do on this machine I3D gets out of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from typing import Any

from benchmarks.rows import Row, interleaved, seconds_of
from benchmarks.workspace import BATCH_SIZE, SPEC, Workspace
from vidbench.models._tensorflow.imports import import_tensorflow

_SIDE = 4096
_PRODUCTS = 5
_DTYPES = {"fp32": "float32", "bf16": "bfloat16"}


def rows(workspace: Workspace) -> Iterator[Row]:
    """Each precision against the matrix product in it, and bf16 against fp32."""
    speed = _speeds(workspace)
    measure = f"GFLOP per second, batch {BATCH_SIZE}, {SPEC.num_frames} frames, against"
    for precision, bound in (("fp32", ">= 0.85"), ("bf16", ">= 0.75")):
        goal = workspace.goal(bound, when=precision == "fp32" or workspace.has_amx)
        against = speed[f"{precision} matmul"]
        text = f"{measure} TensorFlow's {_SIDE} matmul in {precision}"
        yield Row("model", precision, text, speed[precision], against, goal)
    goal = workspace.goal(">= 3.0", when=workspace.has_amx)
    yield Row("model", "bf16", f"{measure} fp32", speed["bf16"], speed["fp32"], goal)


def _speeds(workspace: Workspace) -> dict[str, float]:
    """GFLOP per second of the network and of the matrix product, in each precision."""
    views = workspace.views(workspace.clips(BATCH_SIZE).paths)
    gflop = gflop_of_clip(SPEC.num_frames) * len(views)
    cases: dict[str, Callable[[], float]] = {}
    for precision, dtype in _DTYPES.items():
        predict = partial(workspace.classifier(precision).predict, views)
        cases[precision] = partial(_gflops, predict, gflop)
        multiply = _matmul(dtype)
        cases[f"{precision} matmul"] = partial(_gflops, multiply, _PRODUCTS * 2 * _SIDE**3 / 1e9)
    for case in cases.values():
        case()  # warms it up
    return interleaved(cases, workspace.rounds)


def _gflops(action: Callable[[], object], gflop: float) -> float:
    return gflop / seconds_of(action)


def _matmul(dtype: str) -> Callable[[], None]:
    """Several matrix products, one after another, each of them waited for."""
    tf = import_tensorflow()
    left, right = (tf.cast(tf.random.normal((_SIDE, _SIDE)), dtype) for _ in range(2))
    multiply = tf.function(tf.matmul)

    def run() -> None:
        for _ in range(_PRODUCTS):
            multiply(left, right)[0, 0].numpy()

    return run


def gflop_of_clip(num_frames: int) -> float:
    """What one clip costs: the multiplications and additions of I3D's convolutions, in 10**9.

    Counted from the shapes in the network's own graph; all else in it is below 1 %.
    """
    tf = import_tensorflow()
    from benchmarks.i3d import I3DNetwork

    spec = tf.TensorSpec((1, num_frames, SPEC.crop_size, SPEC.crop_size, 3))
    network = I3DNetwork()
    graph = tf.function(network).get_concrete_function(spec).graph
    return sum(_flop(op) for op in graph.get_operations() if op.type == "Conv3D") / 1e9


def _flop(convolution: Any) -> int:
    """Every output value is a sum over the kernel's volume and its input channels."""
    kernel: list[int] = convolution.inputs[1].shape.as_list()
    outputs: list[int] = convolution.outputs[0].shape.as_list()
    return 2 * prod(outputs) * prod(kernel[:-1])
