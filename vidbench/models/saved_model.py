"""Any SavedModel on disk that takes [batch, frames, height, width, 3] in [0, 1], gives logits."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

from vidbench.data.spec import PreprocessSpec
from vidbench.errors import ConfigError
from vidbench.labels import read_classes
from vidbench.models._frozen import PixelRange
from vidbench.models._signature import Shape, read_signature
from vidbench.models._tensorflow import SavedModelClassifier
from vidbench.models._weights import Weights, local_weights
from vidbench.models.base import GRAPH_FOLDER, ModelCard

CARDS = (
    ModelCard(name="saved_model", source="--model_path", classes="classes.txt, --classes_file"),
)


def load(
    variant: str, *, model_path: str | None = None, classes_file: Path | None = None
) -> SavedModelLoader:
    """The model at ``model_path``.

    Raises:
        ConfigError: There is no path, or a variant, which this family does not have.
    """
    if variant:
        raise ConfigError(f"model_type saved_model has no variant {variant!r}: drop the option")
    if model_path is None:
        raise ConfigError("model_type saved_model needs --model_path, a SavedModel folder")
    return SavedModelLoader(model_path, classes_file=classes_file)


class SavedModelLoader:
    """A SavedModel with a class list; constructing it does no I/O.

    Args:
        model_path: Folder, archive, or TF Hub handle.
        classes_file: Class names, one a line, where the folder has no ``classes.txt``.
    """

    name = "saved_model"
    spec = PreprocessSpec()
    trained_on: str | None = None  # nobody says
    pixel_range: PixelRange = (0.0, 1.0)

    def __init__(self, model_path: str, *, classes_file: Path | None = None) -> None:
        self._model_path: str | None = model_path
        self._classes_file = classes_file

    @cached_property
    def weights(self) -> Weights:
        """The SavedModel on this machine."""
        return local_weights(str(self._model_path))

    @property
    def classes(self) -> tuple[str, ...]:
        """``classes.txt`` of the model's folder, or else the file that was named.

        Raises:
            ConfigError: There is neither, or there are both and they differ.
        """
        own = self.weights.folder / "classes.txt"
        if self._classes_file is None and not own.is_file():
            raise ConfigError(f"{self._model_path} has no classes.txt: name one by --classes_file")
        if self._classes_file is None:
            return read_classes(own)
        named = read_classes(self._classes_file)
        if own.is_file() and read_classes(own) != named:
            raise ConfigError(f"classes_file {self._classes_file} differs from the model's {own}")
        return named

    def check(self, spec: PreprocessSpec) -> None:
        """Nothing, if clips of this spec and the class list fit the model's signature.

        Raises:
            ConfigError: They do not.
        """
        folder = self.weights.folder
        signature = read_signature(folder)
        clips = (None, spec.num_frames, spec.crop_size, spec.crop_size, 3)
        if not _fits(clips, signature.input_shape):
            raise ConfigError(
                f"{folder} takes {_shown(signature.input_shape)}, the clips are {_shown(clips)} "
                "[batch, frames, height, width, channels]: see --num_frames"
            )
        scores = signature.output_shape and signature.output_shape[-1:]
        if not _fits((len(self.classes),), scores):
            raise ConfigError(
                f"{folder} gives {_shown(scores)} scores, "
                f"its class list has {len(self.classes)} names"
            )

    def digest(self) -> str:
        """16 hexadecimal digits of the weights' content and the class list."""
        text = "\n".join([self.weights.digest(), *self.classes])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def load(
        self, *, precision: str = "fp32", device: str = "auto", cache_dir: Path | None = None
    ) -> SavedModelClassifier:
        """The model, ready to predict; the arguments are those of the classifier."""
        return SavedModelClassifier(
            self.weights,
            pixel_range=self.pixel_range,
            precision=precision,
            device=device,
            graph_dir=None if cache_dir is None else cache_dir / GRAPH_FOLDER,
        )


def _fits(shape: Shape, wanted: Shape | None) -> bool:
    """Whether the lengths agree where both are known; an unknown rank takes anything."""
    if wanted is None:
        return True
    return len(shape) == len(wanted) and all(
        None in pair or pair[0] == pair[1] for pair in zip(shape, wanted, strict=True)
    )


def _shown(shape: Shape | None) -> str:
    return "[" + ", ".join("any" if n is None else str(n) for n in shape or ()) + "]"
