"""What a Keras file says of its layers: read as JSON, without running anything that it holds."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py

from vidbench.errors import ConfigError
from vidbench.models._files.signature import Shape, Tensor
from vidbench.models._scores import ENDINGS, OTHER, SOFTMAX
from vidbench.terminal.sanitize import one_line

_ATTRIBUTES = ("model_config", "keras_version")
_HDF5 = b"\x89HDF\r\n\x1a\n"
_CONFIG, _METADATA = "config.json", "metadata.json"
_MAX_CONFIG_BYTES = 1 << 26
_MAX_EXPANSION = 100  # Keras compresses nothing, and zip no weights by so much

_PASSING = frozenset({"Flatten", "Reshape", "Dropout", "Identity", "InputLayer"})
_OF_KERAS = re.compile(r"(tf_)?keras(\..+)?")
# What Keras 2 looks up by its name: modules of layers and their parts, and functions of TensorFlow
# that compute. Any other would be imported or called, whatever it does.
_OLD_MODULES = re.compile(
    r"(tf_)?keras(\.src)?(\.(layers|engine|models|initializers|regularizers|constraints|activations"
    r"|mixed_precision|optimizers|losses|metrics)(\..+)?)?"
)
_OLD_FUNCTIONS = re.compile(
    r"(__operators__|math|nn|linalg|signal|keras\.activations)\.\w+(\.\w+)?|image\.resize"
    r"|abs|add|argmax|cast|clip_by_value|concat|divide|exp|expand_dims|gather|identity|matmul"
    r"|maximum|minimum|multiply|norm|ones_like|pad|pow|range|reduce_(max|mean|min|prod|sum)|repeat"
    r"|reshape|reverse|round|shape|sigmoid|slice|split|sqrt|square|squeeze|stack|subtract|tanh|tile"
    r"|transpose|unstack|where|zeros_like"
)


class KerasConfig(NamedTuple):
    """What a Keras file says of its model.

    Attributes:
        layers: The model as Keras describes it, a tree of layers.
        is_old: Whether Keras 2 or an earlier one wrote it.
    """

    layers: Mapping[str, Any]
    is_old: bool

    def input(self) -> Tensor | None:
        """What the model takes; None where it does not say, or takes several arrays."""
        return _input(self.layers)

    def output(self, name: str | None = None) -> Tensor:
        """What the model gives, as far as its last layer says how many scores.

        Args:
            name: The layer that holds the scores, where there are several outputs.
        """
        units = _settings(_last(self.layers, name) or {}).get("units")
        return Tensor((None, units) if isinstance(units, int) else None)

    def outputs(self) -> list[str]:
        """The layers that give the outputs; none where it does not say."""
        return _ends(_settings(self.layers).get("output_layers"))

    def ending(self, name: str | None = None) -> str | None:
        """The last operation, as :func:`~vidbench.models._scores.last_operation` has it.

        Args:
            name: As of :meth:`output`.
        """
        last = _last(self.layers, name)
        return None if last is None else _activation(last)


def read_keras_config(path: Path) -> KerasConfig:
    """What the file says of its model.

    Raises:
        ConfigError: The file is damaged, no model, far larger than it seems, or it wants code.
    """
    layers, version = _read_hdf5(path) if path.suffix.lower() != ".keras" else _read_zip(path)
    if not isinstance(layers, dict):
        raise ConfigError(f"{path} is no Keras model: its configuration describes none")
    config = KerasConfig(layers, not version or version.split(".")[0] in ("0", "1", "2"))
    for part in _objects(layers):
        if _is_function(part):
            raise ConfigError(lambda_refused(path, "lambda as an activation"))
        if isinstance(part.get("class_name"), str):
            _refuse_code(path, part, is_old=config.is_old)
    return config


def lambda_refused(path: Path, what: str = "Lambda layer") -> str:
    """What to say of a layer that is code."""
    return (
        f"{path} has a {what}, which is Python code: it is not run; "
        "export the model as a SavedModel, and use --model_type saved_model"
    )


def _is_function(part: Mapping[str, Any]) -> bool:
    """Whether it is a lambda as an activation, of which Keras 3 writes the code alone."""
    code = part.get("value")
    return len(part) == 1 and isinstance(code, list) and len(code) == 3 and isinstance(code[0], str)


def _refuse_code(path: Path, part: Mapping[str, Any], *, is_old: bool) -> None:
    name, module = part["class_name"], part.get("module")
    if name in ("Lambda", "__lambda__"):
        raise ConfigError(lambda_refused(path))
    registered = part.get("registered_name")
    own = isinstance(registered, str) and ">" in registered
    if own or (isinstance(module, str) and not _OF_KERAS.fullmatch(module)):
        raise ConfigError(
            f"{path} has {registered or name!r}, which is code of its author's and not in the "
            "file: export the model as a SavedModel where that code is, and use --model_type "
            "saved_model"
        )
    if not is_old:
        return
    inside = part.get("config")
    function = inside.get("function") if name == "TFOpLambda" and isinstance(inside, dict) else None
    unknown = isinstance(function, str) and not _OLD_FUNCTIONS.fullmatch(function)
    if unknown or (isinstance(module, str) and not _OLD_MODULES.fullmatch(module)):
        raise ConfigError(
            f"{path} calls {function or f'{module}.{name}'!r}, which is not known to be harmless: "
            "export the model as a SavedModel, and use --model_type saved_model"
        )


def _read_zip(path: Path) -> tuple[Any, str]:
    """The configuration of a ``.keras`` file, and the version of Keras that wrote it."""
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_bombs(path, archive)
            layers = json.loads(archive.read(_CONFIG))
            named = _METADATA in archive.namelist()
            metadata = json.loads(archive.read(_METADATA)) if named else {}
    except KeyError as error:
        raise ConfigError(f"{path} is no Keras model: it holds no {_CONFIG}") from error
    except (OSError, zipfile.BadZipFile, ValueError, EOFError, RecursionError) as error:
        raise ConfigError(f"{path} is no whole .keras file: {one_line(error)}") from error
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    return layers, version if isinstance(version, str) else "3"  # before Keras 2.12 there was none


def _refuse_bombs(path: Path, archive: zipfile.ZipFile) -> None:
    size = sum(member.file_size for member in archive.infolist())
    if size > _MAX_EXPANSION * path.stat().st_size:
        raise ConfigError(
            f"{path} would unpack to {size / 1e9:.1f} GB, over {_MAX_EXPANSION} times "
            "its size: no model does"
        )
    if archive.getinfo(_CONFIG).file_size > _MAX_CONFIG_BYTES:
        raise ConfigError(f"{path} has a {_CONFIG} that is too large for a model")


def _read_hdf5(path: Path) -> tuple[Any, str]:
    """The configuration of a file of HDF5, and the version of Keras that wrote it."""
    with path.open("rb") as file:
        if file.read(len(_HDF5)) != _HDF5:
            raise ConfigError(f"{path} is no HDF5 file: it does not begin like one")
    try:
        with h5py.File(path) as file:
            said = {key: file.attrs[key] for key in _ATTRIBUTES if key in file.attrs}
        texts = {key: v.decode() if isinstance(v, bytes) else str(v) for key, v in said.items()}
        if "model_config" not in texts:
            raise ConfigError(
                f"{path} holds weights alone, and not the layers that they belong to: save the "
                "whole model, by model.save('net.keras'), or export it as a SavedModel"
            )
        return json.loads(texts["model_config"]), texts.get("keras_version", "")
    except (OSError, ValueError, KeyError, RuntimeError, RecursionError) as error:
        raise ConfigError(f"{path} is no whole HDF5 file of Keras: {one_line(error)}") from error


def _objects(config: Any) -> Iterator[Mapping[str, Any]]:
    """All objects of JSON in it."""
    left = [config]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            yield part
            left += part.values()
        elif isinstance(part, list):
            left += part


def _layers(model: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The layers of a model, as far as it says; none of a single layer."""
    inside = model.get("config")
    found = inside.get("layers") if isinstance(inside, dict) else inside  # a list, long ago
    return [layer for layer in found if isinstance(layer, dict)] if isinstance(found, list) else []


def _settings(layer: Mapping[str, Any]) -> Mapping[str, Any]:
    inside = layer.get("config")
    return inside if isinstance(inside, dict) else {}


def _input(model: Mapping[str, Any]) -> Tensor | None:
    layers = _layers(model)
    inputs = [layer for layer in layers if layer.get("class_name") == "InputLayer"]
    if len(inputs) > 1 or not layers:
        return None
    said = _settings((inputs or layers)[0])
    shape = said.get("batch_shape", said.get("batch_input_shape"))
    if not isinstance(shape, list):
        return None if inputs else _input(layers[0])
    dtype = said.get("dtype")
    return Tensor(keras_shape(shape), dtype if isinstance(dtype, str) else None)


def keras_shape(shape: Any) -> Shape:
    """Lengths, None for one that may vary."""
    return tuple(length if isinstance(length, int) else None for length in shape)


def _last(model: Mapping[str, Any], output: str | None) -> Mapping[str, Any] | None:
    """The layer that makes the scores; None where it cannot be told."""
    layers = _layers(model)
    if not layers:
        return model
    if model.get("class_name") == "Sequential":
        last = next((each for each in reversed(layers) if not _passes(each)), None)
    else:
        ends = _ends(_settings(model).get("output_layers"))
        chosen = ends if len(ends) == 1 else [name for name in ends if name == output]
        last = next((each for each in layers if chosen and each.get("name") == chosen[0]), None)
    return None if last is None else _last(last, None)


def _passes(layer: Mapping[str, Any]) -> bool:
    linear = (
        layer.get("class_name") == "Activation" and _settings(layer).get("activation") == "linear"
    )
    return linear or layer.get("class_name") in _PASSING


def _activation(layer: Mapping[str, Any]) -> str | None:
    if layer.get("class_name") == "Softmax":
        return SOFTMAX
    named = _settings(layer).get("activation")
    if isinstance(named, dict):
        named = named.get("config")
    return ENDINGS.get(named, OTHER) if isinstance(named, str) else None


def _ends(named: Any) -> list[str]:
    """Names of the layers that give the outputs, of one, of a list, or of a mapping of them."""
    if isinstance(named, dict):
        return [name for each in named.values() for name in _ends(each)]
    if not isinstance(named, list) or not named:
        return []
    return [named[0]] if isinstance(named[0], str) else [n for each in named for n in _ends(each)]
