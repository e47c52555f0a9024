"""Any SavedModel on disk that takes clips and gives the scores of classes.

Where no TOML file says otherwise it takes [batch, frames, height, width, 3] in [0, 1], and gives
logits.
"""

from __future__ import annotations

import os
import tarfile
from functools import cached_property
from pathlib import Path

from vidbench.data.fetch.download import is_url
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import ConfigError, ModelError
from vidbench.labels.class_lists import find_classes, read_classes
from vidbench.models._files.described import DescribedModel, declare
from vidbench.models._files.description import FOLDER_FILE, Description, read_description
from vidbench.models._files.fit import (
    count_scores,
    require_fit,
    require_types,
    warn_of_default_frames,
)
from vidbench.models._files.interface import PixelRange, fed_range
from vidbench.models._files.saved_graph import read_ending
from vidbench.models._files.signature import Signature, read_signature
from vidbench.models._golden.record import Golden
from vidbench.models._scores import require_output
from vidbench.models._tensorflow.classifier import SavedModelClassifier
from vidbench.models._tensorflow.weights import Weights, local_weights
from vidbench.system.plugins import require_any
from vidbench.system.runtime import Runtime
from vidbench.system.validation import require_file

FAMILY = declare("saved_model", "tensorflow", "classes.txt, --classes_file")


class SavedModelLoader(DescribedModel):
    """A SavedModel with a class list; constructing it does no I/O.

    What is said of it stands in ``vidbench.toml`` in its folder, or in a TOML file beside its
    archive, of its name with ``.toml`` behind.

    Args:
        model_path: Folder, archive, or TF Hub handle.
        classes_file: Class names, one a line, where the folder has no ``classes.txt``.
    """

    family = "saved_model"
    takes = "a SavedModel folder"
    golden: Golden | None = None  # logits that were published
    _described: str | None = None  # what a TOML file may lie in or beside
    _classes_file: Path | None = None

    def __init__(self, model_path: str, *, classes_file: Path | None = None) -> None:
        super().__init__(model_path, classes_file=classes_file)
        self._model_path: str | None = model_path
        self._described = model_path

    @cached_property
    def description(self) -> Description:
        """What is said of the model.

        Raises:
            ConfigError: The TOML file cannot be meant.
        """
        if self._described is None or is_url(self._described):
            return Description()
        path = Path(self._described)
        beside = path.with_name(f"{path.name}.toml") if path.name else path / FOLDER_FILE
        is_folder = os.path.lexists(path) and path.is_dir()  # it takes names that are too long
        return read_description(path / FOLDER_FILE if is_folder else beside)

    @cached_property
    def pixel_range(self) -> PixelRange:
        """What 0 and 255 become."""
        said = self.description.pixel_range
        return said or fed_range(said, self.signature.input_dtype)

    @cached_property
    def weights(self) -> Weights:
        """The SavedModel on this machine."""
        return local_weights(str(self._model_path))

    @cached_property
    def signature(self) -> Signature:
        """What of the SavedModel is run.

        Raises:
            ConfigError: It has no such signature, or none with one input and one output.
            ModelError: There are no weights.
        """
        folder, wanted = self.weights.folder, self.description.interface
        try:
            return read_signature(folder, wanted.output_name, wanted.signature_name)
        except ModelError as error:
            raise ConfigError(str(error)) from error

    def count_scores(self) -> int | None:
        """How many scores its signature has; None where that may vary."""
        return count_scores(self.signature.output_shape)

    @property
    def classes(self) -> tuple[str, ...]:
        """Those of the file that was named, of the TOML, or of ``classes.txt``, the first there is.

        Raises:
            ConfigError: There are none, or the folder's differ from what is said.
        """
        own = self.weights.folder / "classes.txt"
        if self._classes_file is not None:
            place, named = (
                f"classes_file {self._classes_file}",
                find_classes(str(self._classes_file)),
            )
        elif self.description.classes is not None:
            place, named = "the list in the TOML file", self.description.classes
        elif own.is_file():
            return read_classes(own)
        else:
            raise ConfigError(f"{self._model_path} has no classes.txt: name one by --classes_file")
        if own.is_file() and read_classes(own) != named:
            raise ConfigError(f"{place} differs from the model's {own}")
        return named

    def check_path(self) -> None:
        """Check that the path may be a SavedModel, as far as one look at this machine tells.

        Raises:
            ConfigError: It is not, or what is said of it is not valid.
        """
        if self._model_path is None or is_url(self._model_path):
            return
        source, path = self._model_path, Path(self._model_path)
        if os.path.lexists(path) and path.is_dir():
            if not (path / "saved_model.pb").is_file():
                raise ConfigError(f"--model_path {source!r} holds no saved_model.pb")
        else:
            require_file("model_path", path)
            if not tarfile.is_tarfile(path):
                raise ConfigError(f"--model_path {source!r} is neither a folder nor a tar archive")
        _ = self.description

    def check(self, spec: PreprocessSpec) -> None:
        """Check that the model is whole, and clips of this spec and the class list fit it.

        Raises:
            ConfigError: They do not, its files are not whole, or its scores not what is said.
        """
        require_any(self.name.partition("/")[0], "tensorflow", ("tensorflow",))
        folder, wanted = self.weights.folder, self.description.interface
        self._refuse_unread_description(folder)
        signature = self.signature
        if wanted.input_name not in (None, signature.input_name):
            raise ConfigError(
                f"{folder} has no input {wanted.input_name!r}, only {signature.input_name!r}"
            )
        require_types(folder, signature, wanted, self.pixel_range)
        if self._described is not None:
            warn_of_default_frames(self._described, signature, self.description, spec)
        require_fit(folder, signature, spec, len(self.classes), wanted.layout)
        try:
            self._require_output()
        except ModelError as error:
            raise ConfigError(str(error)) from error

    def _require_output(self) -> None:
        folder, signature = self.weights.folder, self.signature
        said, num_scores = self.description.interface.output, count_scores(signature.output_shape)
        try:
            require_output(said, read_ending(folder, signature), num_scores)
        except ModelError as error:
            raise ModelError(f"{folder}: {error}") from error

    def _refuse_unread_description(self, folder: Path) -> None:
        inside = folder / FOLDER_FILE
        source = self._described
        if source is not None and inside.is_file() and not Path(source).is_dir():
            raise ConfigError(
                f"{source} holds a {FOLDER_FILE}, which is read only in a folder: "
                "unpack the archive and name the folder, or lay the file beside the archive"
            )

    def digest(self) -> str:
        """16 hexadecimal digits of the weights, the class list, and what is said of pixels."""
        return self.digest_of(self.weights.digest(), self.pixel_range)

    def load(self, runtime: Runtime = Runtime()) -> SavedModelClassifier:
        """The model, ready to predict."""
        self._require_output()
        return SavedModelClassifier(
            self.weights,
            runtime,
            pixel_range=self.pixel_range,
            interface=self.description.interface,
            batch=(self.signature.input_shape or (None,))[0],
            ending=read_ending(self.weights.folder, self.signature),
        )


load = SavedModelLoader.from_options
