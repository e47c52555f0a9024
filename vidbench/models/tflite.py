"""Any TFLite model that takes clips and gives the scores of classes, of floats or quantised."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidbench.errors import ConfigError, ModelError
from vidbench.models._files.arrays import Network
from vidbench.models._files.described import declare
from vidbench.models._files.flatbuffer import Model, read_model
from vidbench.models._files.model_file import ModelFile
from vidbench.models._files.signature import Signature, Tensor
from vidbench.models._scores import last_operation
from vidbench.models._tensorflow.imports import TFLITE_LIBRARIES, import_tflite, without_noise
from vidbench.system.machine import available_cores
from vidbench.system.runtime import Runtime
from vidbench.terminal.sanitize import one_line

FAMILY = declare("tflite", "tensorflow")

_IDENTIFIER = b"TFL3"  # file_identifier of TensorFlow's schema.fbs, at byte 4
_QUANTISED = (np.uint8, np.int8, np.int16)
_FLEX = "Flex"  # what the names of TensorFlow's own operators begin with in a TFLite model


class TFLiteFile(ModelFile):
    """A TFLite model, run on the CPU by the first interpreter that is installed."""

    family = "tflite"
    takes = "a file .tflite"
    suffixes = (".tflite", ".lite")
    libraries = TFLITE_LIBRARIES
    extra = "tensorflow"

    def read_signature(self) -> Signature:
        model = self._read
        if flex := [name for name in model.custom if name.startswith(_FLEX)]:
            raise ConfigError(
                f"{self._path} has operators of TensorFlow that TFLite lacks ({flex[0]}): they "
                "need an interpreter with Flex, which TensorFlow has below 2.20 only and LiteRT "
                "has not; convert it without SELECT_TF_OPS, or use the SavedModel"
            )
        if model.custom:
            raise ConfigError(
                f"{self._path} has an operator of somebody's own, {model.custom[0]!r}, which no "
                "interpreter here has: use the SavedModel"
            )
        return self._signature(model.inputs, model.outputs)

    def read_ending(self) -> str | None:
        if self.signature is None:
            return None
        return last_operation(self._read.producers.get, self.signature.output_name)

    @cached_property
    def _read(self) -> Model:
        content = self._path.read_bytes()
        if content[4:8] != _IDENTIFIER:
            raise ConfigError(f"{self._path} is no TFLite model: it does not begin like one")
        try:
            return read_model(content)
        except ValueError as error:
            raise ConfigError(f"{self._path} is no whole TFLite model: {error}") from error

    def open(self, runtime: Runtime) -> Network:
        """The network in an interpreter, which has threads of its own."""
        if runtime.device not in ("auto", "cpu"):
            raise ModelError(f"--device {runtime.device}: model_type tflite runs on the CPU only")
        interpreter = self._interpreter(runtime.num_threads or available_cores())
        inputs = {end["name"]: end for end in interpreter.get_input_details()}
        outputs = {end["name"]: end for end in interpreter.get_output_details()}
        signature = self._signature(
            {name: _tensor(end) for name, end in inputs.items()},
            {name: _tensor(end) for name, end in outputs.items()},
        )
        into, out = inputs[signature.input_name], outputs[signature.output_name]
        wanted = self.description.interface
        run = _Runner(interpreter, into, out, normalise=wanted.output == "probabilities")
        return Network(signature, run, np.dtype(signature.input_dtype))

    def _interpreter(self, num_threads: int) -> Any:
        make, content = import_tflite(), self._path.read_bytes()
        try:
            with without_noise():
                # Of bytes, since they are verified; a damaged file that it maps itself may crash.
                made = make(model_content=content, num_threads=num_threads)
                made.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{self._path} cannot be loaded: {one_line(error)}") from error
        return made


load = TFLiteFile.from_options


class _Runner:
    """Runs batches through an interpreter, and quantises what goes in and what comes out."""

    def __init__(self, interpreter: Any, into: Any, out: Any, *, normalise: bool) -> None:
        self._interpreter, self._into, self._out = interpreter, into, out
        self._shape = tuple(int(length) for length in into["shape"])
        self._normalise = normalise and out["dtype"] in _QUANTISED

    def __call__(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        if pixels.shape != self._shape:
            self._interpreter.resize_tensor_input(self._into["index"], pixels.shape, strict=True)
            self._interpreter.allocate_tensors()
            self._shape = pixels.shape
        self._interpreter.set_tensor(self._into["index"], _quantised(pixels, self._into))
        self._interpreter.invoke()
        scores = _restored(self._interpreter.get_tensor(self._out["index"]), self._out)
        if self._normalise and scores[0].size > 1:  # rounding leaves a sum beside 1
            sums = scores.reshape(len(scores), -1).sum(axis=1)
            scores /= np.maximum(sums, 1e-9).reshape(-1, *[1] * (scores.ndim - 1))
        return scores


def _quantised(pixels: NDArray[Any], end: Any) -> NDArray[Any]:
    """The values as the tensor holds them: round(value / scale) + zero point."""
    scale, zero = end["quantization"]
    if end["dtype"] not in _QUANTISED or not scale:
        return pixels.astype(end["dtype"], copy=False)
    limits = np.iinfo(end["dtype"])
    values = np.rint(pixels / np.float32(scale)) + zero
    return np.asarray(np.clip(values, limits.min, limits.max), end["dtype"])


def _restored(values: NDArray[Any], end: Any) -> NDArray[np.float32]:
    """The numbers that a tensor stands for: (value - zero point) * scale."""
    scale, zero = end["quantization"]
    if end["dtype"] not in _QUANTISED or not scale:
        return values.astype(np.float32)
    return np.asarray((values.astype(np.float32) - zero) * np.float32(scale), np.float32)


def _tensor(end: Any) -> Tensor:
    """Lengths of a tensor, None for one that may vary; of a quantised one what it stands for."""
    lengths = end["shape_signature"] if len(end["shape_signature"]) else end["shape"]
    shape = tuple(int(length) if length >= 0 else None for length in lengths)
    scaled = end["dtype"] in _QUANTISED and end["quantization"][0]
    return Tensor(shape, "float32" if scaled else np.dtype(end["dtype"]).name)
