"""Any Keras model in a file that takes clips and gives the scores of classes."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidbench.errors import ConfigError, ModelError
from vidbench.models._arrays import Network
from vidbench.models._frameworks import import_keras, import_tensorflow
from vidbench.models._model_file import ModelFile, one_line
from vidbench.models._signature import Shape, Signature
from vidbench.models._tensorflow import choose_device, choose_threads
from vidbench.models.base import ModelCard

CARDS = (
    ModelCard(name="keras_file", source="--model_path", classes="its TOML file, --classes_file"),
)

_HDF5 = b"\x89HDF\r\n\x1a\n"
_CONFIG = "config.json"
_MAX_CONFIG_BYTES = 1 << 26
_MAX_EXPANSION = 100  # Keras compresses nothing, and zip no weights by so much


def load(
    variant: str, *, model_path: str | None = None, classes_file: Path | None = None
) -> KerasFile:
    """The model at ``model_path``, a file ``.keras``, or ``.h5`` as Keras wrote before.

    Raises:
        ConfigError: There is no path, or a variant, which this family does not have.
    """
    if variant:
        raise ConfigError(f"model_type keras_file has no variant {variant!r}: drop it")
    if model_path is None:
        raise ConfigError("model_type keras_file needs --model_path, a file .keras or .h5")
    return KerasFile(model_path, classes_file=classes_file)


class KerasFile(ModelFile):
    """A Keras model, read without running any code that the file holds."""

    family = "keras_file"
    suffixes = (".keras", ".h5", ".hdf5")
    libraries = ("tensorflow",)  # which brings Keras
    extra = "tensorflow"

    def read_signature(self) -> Signature | None:
        """The input, if the file is a ``.keras`` that tells; of HDF5 nothing is known."""
        if self._path.suffix.lower() != ".keras":
            with self._path.open("rb") as file:
                if file.read(len(_HDF5)) != _HDF5:
                    raise ConfigError(f"{self._path} is no HDF5 file: it does not begin like one")
            return None
        config = self._read_config()
        if any(name == "Lambda" for name in _layer_types(config)):
            raise ConfigError(_lambda(self._path))
        built = config.get("build_config")
        shape = built.get("input_shape") if isinstance(built, dict) else None
        return Signature("", "", _shape(shape), "", None) if isinstance(shape, list) else None

    def open(self, device: str, num_threads: int | None) -> Network:
        """The network, run by TensorFlow, or what Keras is configured for."""
        tensorflow = import_tensorflow()
        choose_device(tensorflow, device)
        choose_threads(tensorflow, num_threads)
        tensorflow.config.experimental.enable_tensor_float_32_execution(False)
        keras = import_keras()
        if num_threads is not None and keras.config.backend() != "tensorflow":
            raise ConfigError(
                f"--num_threads {num_threads}: Keras runs on {keras.config.backend()}, which does "
                "not take it from here; drop the option, or set KERAS_BACKEND=tensorflow"
            )
        try:
            model = keras.saving.load_model(self._path, compile=False, safe_mode=True)
        except Exception as error:  # of any kind, by what is wrong with the file
            if "Lambda" in str(error):
                raise ModelError(_lambda(self._path)) from error
            raise ModelError(f"{self._path} cannot be loaded: {one_line(error)}") from error
        return self._network(model)

    def _network(self, model: Any) -> Network:
        inputs = {tensor.name: _shape(tensor.shape) for tensor in model.inputs or ()}
        names = list(getattr(model, "output_names", None) or (t.name for t in model.outputs))
        shapes = (_shape(tensor.shape) for tensor in model.outputs)
        signature = self._signature(inputs, dict(zip(names, shapes, strict=True)))
        out = signature.output_name

        def run(pixels: NDArray[Any]) -> NDArray[np.floating[Any]]:
            scores = model.predict_on_batch(pixels)
            if isinstance(scores, dict):
                scores = scores[out]
            elif isinstance(scores, list | tuple):
                scores = scores[names.index(out)]
            return np.asarray(scores)

        return Network(signature, run)

    def _read_config(self) -> dict[str, Any]:
        """What the model is made of.

        Raises:
            ConfigError: The file is damaged, no Keras model, or far larger than it seems.
        """
        try:
            with zipfile.ZipFile(self._path) as archive:
                self._refuse_bombs(archive)
                config = json.loads(archive.read(_CONFIG))
        except KeyError as error:
            raise ConfigError(f"{self._path} is no Keras model: it holds no {_CONFIG}") from error
        except (OSError, zipfile.BadZipFile, ValueError, EOFError, RecursionError) as error:
            raise ConfigError(f"{self._path} is no whole .keras file: {one_line(error)}") from error
        if not isinstance(config, dict):
            raise ConfigError(f"{self._path} is no Keras model: its {_CONFIG} describes none")
        return config

    def _refuse_bombs(self, archive: zipfile.ZipFile) -> None:
        size = sum(member.file_size for member in archive.infolist())
        if size > _MAX_EXPANSION * self._path.stat().st_size:
            raise ConfigError(
                f"{self._path} would unpack to {size / 1e9:.1f} GB, over {_MAX_EXPANSION} times "
                "its size: no model does"
            )
        if archive.getinfo(_CONFIG).file_size > _MAX_CONFIG_BYTES:
            raise ConfigError(f"{self._path} has a {_CONFIG} that is too large for a model")


def _layer_types(config: Any) -> Iterator[str]:
    """The ``class_name`` of everything in it."""
    left = [config]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            if isinstance(name := part.get("class_name"), str):
                yield name
            left += part.values()
        elif isinstance(part, list):
            left += part


def _lambda(path: Path) -> str:
    return (
        f"{path} has a Lambda layer, which is Python code: it is not run; "
        "export the model as a SavedModel, and use --model_type saved_model"
    )


def _shape(shape: Any) -> Shape:
    return tuple(length if isinstance(length, int) else None for length in shape)
