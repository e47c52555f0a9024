"""A model that is one file, with what is said of it beside it: what Keras, TFLite, ONNX share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from vidbench.data.fetch.download import is_url
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import ConfigError, ModelError
from vidbench.labels.class_lists import find_classes
from vidbench.models._files.arrays import ArrayClassifier, Network
from vidbench.models._files.described import DescribedModel
from vidbench.models._files.description import Description, read_description
from vidbench.models._files.fit import (
    count_scores,
    require_count,
    require_fit,
    require_types,
    warn_of_default_frames,
)
from vidbench.models._files.interface import PixelRange, fed_range
from vidbench.models._files.signature import Signature, Tensor, join
from vidbench.models._scores import require_output
from vidbench.storage.hashes import sha256_of
from vidbench.system.plugins import require_any
from vidbench.system.runtime import Runtime
from vidbench.system.validation import require_file


class ModelFile(DescribedModel):
    """A model that is one file; constructing it does no I/O.

    What is said of it stands in a TOML file of its name with ``.toml`` behind; ``classes_file``
    goes over that.

    Args:
        model_path: The file.
        classes_file: Class names, one a line.
    """

    suffixes: tuple[str, ...]
    libraries: tuple[str, ...]  # any one of them will do, as they are imported
    extra: str

    def __init__(self, model_path: str, *, classes_file: Path | None = None) -> None:
        super().__init__(model_path, classes_file=classes_file)
        self._path = Path(model_path)

    @cached_property
    def description(self) -> Description:
        """What is said of the model.

        Raises:
            ConfigError: The TOML beside it cannot be meant.
        """
        return read_description(self._path.with_name(f"{self._path.name}.toml"))

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Those of ``classes_file``, or else of the TOML.

        Raises:
            ConfigError: There are none.
        """
        if self._classes_file is not None:
            return find_classes(str(self._classes_file))
        if self.description.classes is None:
            raise ConfigError(
                f"{self._path} has no class list: name one by --classes_file, "
                f"or by classes in {self._path.name}.toml beside it"
            )
        return self.description.classes

    def check_path(self) -> None:
        """Check that the file is there and of the right kind, and what is said of it is valid.

        Raises:
            ConfigError: It is not.
        """
        if is_url(self._source):
            raise ConfigError(f"--model_path {self._source!r} is an address: fetch it, name a file")
        if self._path.is_dir():
            raise ConfigError(
                f"--model_path {self._source!r} is a folder: model_type {self.family} takes a "
                "file, model_type saved_model a folder"
            )
        require_file("model_path", self._path)
        if self._path.suffix.lower() not in self.suffixes:
            raise ConfigError(
                f"--model_path {self._source!r}: model_type {self.family} takes a file "
                f"{' or '.join(self.suffixes)}"
            )
        _ = self.description

    def check(self, spec: PreprocessSpec) -> None:
        """Check that clips of this spec fit the model, as far as its file tells without a library.

        Raises:
            ConfigError: They do not, the file is damaged, or the library is not installed.
        """
        self.check_path()
        require_any(self.family, self.extra, self.libraries)
        try:
            self._require_fit(spec)
        except ModelError as error:
            raise ConfigError(str(error)) from error
        _ = self.classes

    def _require_fit(self, spec: PreprocessSpec) -> None:
        signature, layout = self.signature, self.description.interface.layout
        if signature is not None:
            self._require_types(signature)
            require_fit(self._path, signature, spec, len(self.classes), layout)
            warn_of_default_frames(self._path, signature, self.description, spec)
            self._require_meant(signature)

    def _require_meant(self, signature: Signature) -> None:
        """Check that pixels can be fed, and scores read, as it is said.

        Raises:
            ConfigError: Pixels cannot.
            ModelError: Scores cannot.
        """
        self._require_types(signature)
        wanted, num_scores = self.description.interface, count_scores(signature.output_shape)
        try:
            require_output(wanted.output, self.ending, num_scores)
        except ModelError as error:
            raise ModelError(f"{self._path}: {error}") from error

    def _require_types(self, signature: Signature) -> None:
        described = self.description
        require_types(self._path, signature, described.interface, described.pixel_range)

    @cached_property
    def signature(self) -> Signature | None:
        """What the file says of input and output; None if only its library can tell."""
        return self.read_signature()

    def count_scores(self) -> int | None:
        """How many scores the file says that it gives; None where it does not say."""
        return self.signature and count_scores(self.signature.output_shape)

    @cached_property
    def ending(self) -> str | None:
        """The network's last operation, see :func:`~vidbench.models._scores.last_operation`."""
        return self.read_ending()

    @property
    def _pixel_range(self) -> PixelRange:
        said = self.description.pixel_range
        return said or fed_range(said, self.signature and self.signature.input_dtype)

    def digest(self) -> str:
        """16 hexadecimal digits of the weights, the class list, and what is done to pixels."""
        return self.digest_of(self.content_digest(), self._pixel_range)

    def load(self, runtime: Runtime = Runtime()) -> ArrayClassifier:
        """The model, ready to predict.

        Raises:
            ConfigError: It cannot be run in so many threads, or in this precision.
            ModelError: It cannot be loaded, or has other classes.
        """
        if runtime.precision != "fp32":
            raise ConfigError(
                f"{self.family} runs in fp32 only, not {runtime.precision}: drop --precision"
            )
        network, described = self.open(runtime), self.description
        num_scores, num_classes = count_scores(network.signature.output_shape), len(self.classes)
        require_count(self._path, num_scores, num_classes)
        self._require_meant(network.signature)
        return ArrayClassifier(network, described.interface, described.pixel_range, self.ending)

    def content_digest(self) -> str:
        """SHA-256 of the weights' content."""
        return sha256_of(self._path)

    def _signature(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> Signature:
        """The input that takes clips and the output that gives scores, of all that there are."""
        wanted = self.description.interface
        into = _only_input(list(inputs), wanted.input_name, self._path)
        out = choose("output", list(outputs), wanted.output_name, self._path)
        return join("", into, inputs[into], out, outputs[out])

    @abstractmethod
    def read_signature(self) -> Signature | None:
        """What the file says of input and output, without a framework; None if only that can tell.

        Raises:
            ConfigError: The file is damaged, or no model.
        """

    def read_ending(self) -> str | None:
        """The network's last operation, without a framework; None where the file does not tell."""
        return None

    @abstractmethod
    def open(self, runtime: Runtime) -> Network:
        """The network, ready to run.

        Raises:
            ConfigError: It cannot be run in so many.
            ModelError: It cannot be loaded, or not on this device.
        """


def choose(kind: str, names: list[str], wanted: str | None, model: Path) -> str:
    """The input or output that is named, or else the only one.

    Args:
        kind: ``input`` or ``output``.
        names: Those that there are.
        wanted: What the TOML says, if anything.
        model: For the message.

    Raises:
        ModelError: There is none of that name, or there are several.
    """
    if wanted is None and len(names) != 1:
        raise ModelError(
            f"{model} has {kind}s {_listed(names)}: "
            f"state one as {kind} in [tensors] of {model.name}.toml"
        )
    if wanted is not None and wanted not in names:
        raise ModelError(f"{model} has no {kind} {wanted!r}, only {_listed(names)}")
    return names[0] if wanted is None else wanted


def _only_input(names: list[str], wanted: str | None, model: Path) -> str:
    """The only input, which clips go into.

    Raises:
        ModelError: There are several, or it has another name than the TOML says.
    """
    if len(names) != 1:
        raise ModelError(f"{model} has inputs {_listed(names)}, must be one, which takes clips")
    return choose("input", names, wanted, model)


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names)) or "that it does not name"
