"""Keras models in files that take clips and give the scores of classes."""

from __future__ import annotations

import importlib.util
import re
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidbench.errors import ConfigError, ModelError
from vidbench.models._files.arrays import Network
from vidbench.models._files.described import declare
from vidbench.models._files.keras_config import (
    KerasConfig,
    keras_shape,
    lambda_refused,
    read_keras_config,
)
from vidbench.models._files.model_file import ModelFile, choose
from vidbench.models._files.signature import Signature, Tensor, join
from vidbench.models._tensorflow.classifier import choose_device, choose_threads
from vidbench.models._tensorflow.imports import import_keras, import_tensorflow, import_tf_keras
from vidbench.system.runtime import Runtime
from vidbench.terminal.sanitize import one_line

FAMILY = declare("keras_file", "tensorflow")

# Messages of Keras 3 and Keras 2 about an unknown class.
_UNKNOWN = re.compile(r"(Could not locate class|Unknown layer:) ['\"](?P<name>[^'\"]+)['\"]")


class KerasFile(ModelFile):
    """A Keras model, read without running code from the file."""

    family = "keras_file"
    takes = "a file .keras or .h5"
    suffixes = (".keras", ".h5", ".hdf5")
    libraries = ("tensorflow",)  # which brings Keras
    extra = "tensorflow"

    @cached_property
    def _config(self) -> KerasConfig:
        return read_keras_config(self._path)

    def read_signature(self) -> Signature:
        """The input and the last layer in the file, without names, which only Keras knows."""
        if self._config.is_old and not importlib.util.find_spec("tf_keras"):
            raise ConfigError(
                f"{self._path} was written by Keras 2, which tf_keras reads and is not installed: "
                "pip install tf-keras"
            )
        name = self.description.interface.output_name
        if name is None and (outputs := self._config.outputs()):
            choose("output", outputs, None, self._path)
        output = self._config.output(name)
        return join("", "", self._config.input() or Tensor(None), "", output)

    def read_ending(self) -> str | None:
        return self._config.ending(self.description.interface.output_name)

    def open(self, runtime: Runtime) -> Network:
        """The network, run by TensorFlow or another backend that Keras is configured for."""
        tensorflow = import_tensorflow()
        choose_device(tensorflow, runtime.device)
        choose_threads(tensorflow, runtime.num_threads)
        tensorflow.config.experimental.enable_tensor_float_32_execution(False)
        is_old = self._config.is_old  # reading it rejects code before anything is loaded
        keras = import_tf_keras() if is_old else _import_keras(runtime.num_threads)
        try:
            model = keras.models.load_model(self._path, compile=False, safe_mode=True)
        except Exception as error:  # damaged files raise errors of many kinds
            if "Lambda" in str(error):
                raise ModelError(lambda_refused(self._path)) from error
            if custom := _UNKNOWN.search(str(error)):
                raise ModelError(
                    f"{self._path} has {custom['name']!r}, which is not a layer of Keras: export "
                    "the model as a SavedModel where its code is, and use --model_type saved_model"
                ) from error
            raise ModelError(f"{self._path} cannot be loaded: {one_line(error)}") from error
        return self._network(model)

    def _network(self, model: Any) -> Network:
        inputs = {tensor.name: _tensor(tensor) for tensor in model.inputs or ()}
        names = list(getattr(model, "output_names", None) or (t.name for t in model.outputs))
        outputs = map(_tensor, model.outputs)
        signature = self._signature(inputs, dict(zip(names, outputs, strict=True)))
        out = signature.output_name

        def run(pixels: NDArray[Any]) -> NDArray[np.floating[Any]]:
            scores = model.predict_on_batch(pixels)
            if isinstance(scores, dict):
                scores = scores[out]
            elif isinstance(scores, list | tuple):
                scores = scores[names.index(out)]
            return np.asarray(scores)

        return Network(signature, run, np.dtype(signature.input_dtype))


load = KerasFile.from_options


def _import_keras(num_threads: int | None) -> Any:
    keras = import_keras()
    if num_threads is not None and keras.config.backend() != "tensorflow":
        raise ConfigError(
            f"--num_threads {num_threads}: Keras runs on {keras.config.backend()}, which does "
            "not take it from here; omit the option, or set KERAS_BACKEND=tensorflow"
        )
    return keras


def _tensor(tensor: Any) -> Tensor:
    dtype = tensor.dtype  # a name, or with tf_keras a type of TensorFlow
    return Tensor(keras_shape(tensor.shape), str(getattr(dtype, "name", dtype)))
