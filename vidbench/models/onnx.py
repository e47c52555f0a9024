"""ONNX models that take clips and give the scores of classes, run by ONNX Runtime."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from vidbench.errors import ConfigError, ModelError
from vidbench.models._files.arrays import Network
from vidbench.models._files.described import declare
from vidbench.models._files.model_file import ModelFile
from vidbench.models._files.protobuf import message_classes
from vidbench.models._files.signature import Signature, Tensor, type_name
from vidbench.models._scores import last_operation
from vidbench.storage.hashes import sha256_of
from vidbench.system.machine import available_cores
from vidbench.system.runtime import Runtime
from vidbench.terminal.sanitize import one_line

FAMILY = declare("onnx", "onnx")

_FIELDS = """
Model: Graph graph 7, Function* functions 25
Function: string name 1, string* output 5, Node* node 7, string domain 10
Graph: Node* node 1, Tensor* initializer 5, Value* input 11, Value* output 12, \
Sparse* sparse_initializer 15
Node: string* input 1, string* output 2, string op_type 4, Attribute* attribute 5, string domain 7
Attribute: Tensor t 5, Graph g 6, Tensor* tensors 10, Graph* graphs 11
Sparse: Tensor values 1, Tensor indices 2
Tensor: string name 8, Entry* external_data 13
Entry: string key 1, string value 2
Value: string name 1, Type type 2
Type: TensorType tensor_type 1
TensorType: int32 elem_type 1, TensorShape shape 2
TensorShape: Dim* dim 1
Dim: int64 dim_value 1, string dim_param 2
"""
"""Messages and fields of onnx.proto, with its field numbers."""

_DTYPES = (  # TensorProto.DataType, by number
    *("undefined", "float32", "uint8", "int8", "uint16", "int16", "int32", "int64"),
    *("string", "bool", "float16", "float64", "uint32", "uint64", "complex64"),
    *("complex128", "bfloat16"),
)
_FED = {"tensor(float)": "float32", "tensor(double)": "float64"} | {
    f"tensor({name})": name  # names of ONNX Runtime; NumPy has no bfloat16
    for name in _DTYPES
    if name in ("float16", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
}
_OWN_DOMAINS = ("", "ai.onnx")


class OnnxFile(ModelFile):
    """An ONNX model, whose weights may be in other files beside it."""

    family = "onnx"
    takes = "a file .onnx"
    suffixes = (".onnx",)
    libraries = ("onnxruntime",)
    extra = "onnx"

    def content_digest(self) -> str:
        """SHA-256 of the file and of the files beside it with its weights."""
        digests = [sha256_of(path) for path in (self._path, *self._weight_files())]
        if len(digests) == 1:
            return digests[0]
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()

    def read_signature(self) -> Signature:
        model = self._read()
        for path in self._weight_files():
            if not path.is_file():
                raise ConfigError(f"{self._path} keeps weights in {path}, which does not exist")
        weights = {tensor.name for tensor in model.graph.initializer}  # inputs too in old files
        inputs = {v.name: _tensor(v) for v in model.graph.input if v.name not in weights}
        outputs = {v.name: _tensor(v) for v in model.graph.output}
        signature = self._signature(inputs, outputs)
        if signature.input_dtype == "bfloat16":
            raise ConfigError(
                f"{self._path} takes bfloat16, which cannot be fed: export it float32"
            )
        return signature

    def read_ending(self) -> str | None:
        model = self._read()
        functions = {(f.domain, f.name): f for f in model.functions}
        made = {name: node for node in model.graph.node for name in node.output}

        def producer(tensor: str) -> tuple[str, list[str]] | None:
            node = made.get(tensor)
            if node is None or node.domain in _OWN_DOMAINS:
                return node and (node.op_type, list(node.input))
            function = functions.get((node.domain, node.op_type))
            if function is None:
                return None
            inside = f"{tensor}|{len(made)}|"  # a name that no other tensor has
            made.update(
                {inside + name: _moved(n, inside) for n in function.node for name in n.output}
            )
            return "Identity", [inside + function.output[list(node.output).index(tensor)]]

        return last_operation(producer, self.signature.output_name) if self.signature else None

    def open(self, runtime: Runtime) -> Network:
        """The network in a session of ONNX Runtime, with its own threads or on a GPU."""
        import onnxruntime

        providers = _providers(onnxruntime, runtime.device)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = runtime.num_threads or available_cores()
        options.log_severity_level = 3  # errors
        try:
            session = onnxruntime.InferenceSession(str(self._path), options, providers)
        except Exception as error:  # its errors have no common class
            raise ModelError(f"{self._path} cannot be loaded: {one_line(error)}") from error
        if (
            runtime.device.startswith("cuda")
            and "CUDAExecutionProvider" not in session.get_providers()
        ):
            raise ModelError(
                f"--device {runtime.device}: ONNX Runtime cannot use it, see its log above"
            )
        signature = self._signature(
            {value.name: _known(value) for value in session.get_inputs()},
            {value.name: _known(value) for value in session.get_outputs()},
        )
        if signature.input_dtype not in _FED.values():
            raise ModelError(f"{self._path} takes {signature.input_dtype}, which cannot be fed")
        outputs, name = [signature.output_name], signature.input_name
        return Network(
            signature,
            lambda fed: session.run(outputs, {name: fed})[0],
            np.dtype(signature.input_dtype),
        )

    def _read(self) -> Any:
        """Parse the file.

        Raises:
            ConfigError: The file is not a complete ONNX model.
        """
        try:
            model = _messages()["Model"].FromString(self._path.read_bytes())
        except (OSError, DecodeError) as error:
            raise ConfigError(
                f"{self._path} is not a complete ONNX model: {one_line(error)}"
            ) from error
        if not model.graph.node:
            raise ConfigError(f"{self._path} is not an ONNX model: it has no graph")
        return model

    def _weight_files(self) -> list[Path]:
        """Other files with weights, sorted.

        Raises:
            ConfigError: The model names a file outside of its folder.
        """
        names = sorted(set(_locations(self._read())))
        for name in names:
            parts = (*PurePosixPath(name).parts, *PureWindowsPath(name).parts)
            if ".." in parts or PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive:
                raise ConfigError(f"{self._path} names weights outside of its folder: {name!r}")
        return [self._path.parent / name for name in names]


load = OnnxFile.from_options


def _moved(node: Any, prefix: str) -> Any:
    """A copy of a function's node with a prefix before the names of its tensors."""
    copy = type(node)()
    copy.CopyFrom(node)
    for names in (copy.input, copy.output):
        names[:] = [prefix + name for name in names]
    return copy


def _locations(message: Any) -> Iterator[str]:
    """Names of the files with tensors, of all nested graphs."""
    for _, value in message.ListFields():
        for part in value if hasattr(value, "add") else [value]:
            if not hasattr(part, "ListFields"):
                continue
            if part.DESCRIPTOR.name == "Entry":
                if part.key == "location":
                    yield part.value
            else:
                yield from _locations(part)


def _providers(onnxruntime: Any, device: str) -> list[Any]:
    """Execution providers of the session, in order of preference.

    TensorFloat-32, which rounds the factors of float32 products to 10 bits, is disabled.
    """
    kind, _, number = device.partition(":")
    cuda = ("CUDAExecutionProvider", {"device_id": int(number or 0), "use_tf32": 0})
    has_cuda = cuda[0] in onnxruntime.get_available_providers()
    if kind not in ("auto", "cpu") and not (kind == "cuda" and has_cuda):
        raise ModelError(f"--device {device}: ONNX Runtime finds no such device here")
    return [*([cuda] if has_cuda and kind != "cpu" else []), "CPUExecutionProvider"]


def _tensor(value: Any) -> Tensor:
    kind = value.type.tensor_type
    dtype = type_name(_DTYPES, kind.elem_type)
    if not kind.HasField("shape"):
        return Tensor(None, dtype)
    return Tensor(tuple(dim.dim_value or None for dim in kind.shape.dim), dtype)


def _known(value: Any) -> Tensor:
    shape = tuple(length if isinstance(length, int) else None for length in value.shape)
    return Tensor(shape, _FED.get(value.type, value.type))


@cache
def _messages() -> dict[str, Any]:
    return message_classes("vidbench_onnx", _FIELDS)
