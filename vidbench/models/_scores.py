"""Convert the output of a network to probabilities, one for each class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidbench.errors import ModelError

_ROUNDING = 0.01  # tolerance for the sum of probabilities in float16
_ENOUGH = 8  # scores: this many logits are unlikely to all lie between 0 and 1 by chance

SOFTMAX, SIGMOID, OTHER = "softmax", "sigmoid", "other"
"""Last operation of a network; :data:`OTHER` is a layer with unbounded scores, such as logits.

None means unknown, e.g. arithmetic, which may be a handwritten sigmoid.
"""

ENDINGS = {
    "softmax": SOFTMAX,
    "sigmoid": SIGMOID,
    "hardsigmoid": SIGMOID,
    "hard_sigmoid": SIGMOID,
    "logistic": SIGMOID,
}
"""Last operation by the name of an operator in lower case, or of an activation of Keras."""

_PASSING = frozenset(
    {"identity", "reshape", "squeeze", "unsqueeze", "expanddims", "expand_dims", "flatten", "cast"}
    | {"quantize", "dequantize", "quantizelinear", "dequantizelinear", "stopgradient", "dropout"}
    | {"mean", "reducemean", "averagepool"}  # e.g. over views: probabilities stay probabilities
    | {"transpose", "clip", "clipbyvalue"}
)
_LAYERS = frozenset(
    {"matmul", "batchmatmul", "batchmatmulv2", "batchmatmulv3", "batch_matmul", "gemm", "einsum"}
    | {"xlaeinsum", "fusedmatmul", "fullyconnected", "fully_connected", "biasadd"}
    | {"conv", "conv1d", "conv2d", "conv3d", "conv_2d", "conv_3d"}
    | {"batchnormalization", "fusedbatchnormv3", "logsoftmax", "log_softmax"}
)
_SUMS = frozenset({"add", "addv2"})  # adds the bias of a layer, or something else

Producer = Callable[[str], "tuple[str, Sequence[str]] | None"]
"""Maps a tensor's name to the operation that makes it and the names of its inputs."""


def last_operation(producer: Producer, output: str) -> str | None:
    """The last operation on the scores: :data:`SOFTMAX`, :data:`SIGMOID` or :data:`OTHER`.

    Operations that do not change scores, such as reshaping, are skipped. For a sum, all terms are
    checked: if one comes from a layer, the other is its bias.

    Args:
        producer: Finds operations; returns None for an unknown tensor.
        output: Name of the tensor of the scores.

    Returns:
        The operation; None if it is unknown.
    """
    operation, inputs = _looked_through(producer, output)
    if operation in _SUMS:
        terms = [_looked_through(producer, term)[0] for term in inputs]
        return OTHER if any(term in _LAYERS for term in terms) else None
    return OTHER if operation in _LAYERS else ENDINGS.get(operation)


def _looked_through(producer: Producer, output: str) -> tuple[str, Sequence[str]]:
    """The last operation in lower case and its inputs; "" if it is unknown."""
    seen = set()
    while output not in seen:
        seen.add(output)
        operation, inputs = producer(output) or ("", ())
        if operation.lower() not in _PASSING:
            return operation.lower(), inputs
        if not inputs:
            break
        output = inputs[0]
    return "", ()


def require_output(said: str | None, ending: str | None, num_scores: int | None) -> None:
    """Raise ModelError if the stated kind of output contradicts the network's last operation.

    The softmax of probabilities keeps their order but gives other probabilities, and sigmoids of
    several classes are not probabilities of one of them.

    Args:
        said: One of :data:`~vidbench.models._files.interface.OUTPUTS`, or None if not stated.
        ending: Result of :func:`last_operation`.
        num_scores: Number of scores per clip; None if unknown before the network runs.
    """
    if ending == SOFTMAX and num_scores == 1:
        raise ModelError("the model ends in the softmax of one score, which is always 1")
    if ending == SOFTMAX and said is None:
        raise ModelError(not_said())
    if ending is None and num_scores == 1 and said is None:
        raise ModelError(one_of_a_kind())
    if ending != SIGMOID or (num_scores is None and said is not None):
        return
    if num_scores == 1 and said != "probabilities":
        raise ModelError(one_sigmoid())
    if num_scores != 1 and said != "logits":
        raise ModelError(many_sigmoids())


class Undeclared:
    """Checks scores of undeclared kind, until there are enough to know that they are logits.

    Args:
        ending: Result of :func:`last_operation`.
    """

    def __init__(self, ending: str | None) -> None:
        self._in_bounds = ending is None
        self._count = 0

    @property
    def is_settled(self) -> bool:
        """Whether further scores cannot change the result."""
        return not self._in_bounds or self._count >= _ENOUGH

    def look(self, scores: NDArray[Any]) -> None:
        """Raise ModelError if these scores, (batch, ...), and earlier ones are probabilities."""
        rows = scores.reshape(len(scores), -1).astype(np.float64)
        if not rows.size:
            return
        is_single, positive = rows.shape[1] == 1, rows.min() >= 0
        if positive and not is_single and np.abs(rows.sum(axis=1) - 1).max() < _ROUNDING:
            raise ModelError(not_said())
        self._in_bounds = bool(self._in_bounds and positive and rows.max() <= 1)
        self._count += rows.size
        if self._in_bounds and self._count >= _ENOUGH:
            raise ModelError(one_sigmoid() if is_single else many_sigmoids())


def to_probabilities(scores: NDArray[np.floating], output: str | None) -> NDArray[np.float32]:
    """Convert scores to probabilities (batch, classes).

    A single score is the logit or the probability of the second of two classes.

    Args:
        scores: (batch, ...); dimensions of length 1 are dropped.
        output: One of :data:`~vidbench.models._files.interface.OUTPUTS`, or None for logits.
    """
    rows = scores.reshape(len(scores), -1).astype(np.float64)
    if rows.shape[1] == 1:
        second = rows if output == "probabilities" else 1 / (1 + np.exp(-np.clip(rows, -700, 700)))
        return np.concatenate([1 - second, second], axis=1).astype(np.float32)
    if output == "probabilities":
        return rows.astype(np.float32)
    odds = np.exp(rows - rows.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), np.float32)


def not_said() -> str:
    """The message if undeclared scores are probabilities."""
    return (
        "the model gives scores that are probabilities already, which is not stated: state "
        'output = "probabilities" (or "logits") in the TOML file beside it, see '
        "docs/model_files.md"
    )


def one_sigmoid() -> str:
    """The message if the only score is a probability."""
    return (
        "the model gives one score, a sigmoid's, which is the probability of the second of two "
        'classes: state output = "probabilities" in the TOML file beside it'
    )


def one_of_a_kind() -> str:
    """The message if the only score may or may not be a probability."""
    return (
        "the model gives one score, and its file does not tell whether that is a probability: "
        'state output = "probabilities" or "logits" in the TOML file beside it'
    )


def many_sigmoids() -> str:
    """The message if each class has a probability of its own."""
    return (
        "the model gives each class a sigmoid of its own (multi-label): these scores do not sum up "
        "to 1, and vidbench scores one class a video: export it without the sigmoid, or state "
        'output = "logits" in the TOML file beside it to rank by them, see docs/model_files.md'
    )
