"""Video classifiers of Hugging Face's transformers: VideoMAE, TimeSformer, ViViT, V-JEPA 2.

Any folder or name with an architecture ``...ForVideoClassification`` works. The checkpoint states
its class list, number of frames, resizing and scaling of pixels, but not which frames of a video to
sample: by default they are spread over the whole video. The variants are known checkpoints with
the protocol of their published accuracies.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

from vidbench.data.records import Views
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import ConfigError, ModelError
from vidbench.labels.class_lists import find_classes, load_classes
from vidbench.models._huggingface.checkpoint import Checkpoint, read_checkpoint
from vidbench.models._huggingface.processor import Scaling
from vidbench.models._huggingface.published import VARIANTS, describe
from vidbench.models._huggingface.safetensors_header import require_weights
from vidbench.models._huggingface.torch_runtime import in_pieces, require_torch
from vidbench.models._huggingface.towers import Array, Network
from vidbench.models._huggingface.transformers_runtime import (
    find_source,
    local_snapshot,
    weight_files,
    weights_digest,
)
from vidbench.models.base import ModelEntry, ModelFamily
from vidbench.system.runtime import Runtime

FAMILY = ModelFamily(
    name="huggingface",
    entries=(
        ModelEntry(name="huggingface", source="--model_path", classes="config.json"),
        *(describe(name, variant) for name, variant in VARIANTS.items()),
    ),
    needs="torch",
    options=frozenset({"model_path", "classes_file"}),
    variants=tuple(VARIANTS),
)


class HuggingFaceModel:
    """A checkpoint, not loaded yet; constructing it does no I/O.

    Args:
        variant: One of :data:`VARIANTS`, or "" for any checkpoint.
        model_path: A folder, or a name on Hugging Face (``owner/name``); None for the variant's.
        classes_file: Class names, one per line, for a checkpoint that only numbers them.

    Raises:
        ConfigError: There is no such variant, or neither variant nor path.
    """

    def __init__(
        self, variant: str, *, model_path: str | None = None, classes_file: Path | None = None
    ) -> None:
        sources = {name: published.source for name, published in VARIANTS.items()}
        self._source = find_source("huggingface", sources, variant, model_path)
        self._variant = VARIANTS.get(variant)
        self._classes_file = classes_file
        self.name = f"huggingface/{variant}" if variant else "huggingface"
        self.trained_on = self._variant.trained_on if self._variant else None

    @cached_property
    def _checkpoint(self) -> Checkpoint:
        require_torch("huggingface")
        return read_checkpoint(local_snapshot(self._source))

    @cached_property
    def spec(self) -> PreprocessSpec:
        """The published protocol of a variant, or that of the checkpoint's processor."""
        return self._variant.spec if self._variant else self._checkpoint.spec

    @property
    def _scaling(self) -> Scaling:
        return (self._variant and self._variant.scaling) or self._checkpoint.scaling

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """``id2label`` of the checkpoint, or ``classes_file`` if that only numbers its classes.

        Raises:
            ConfigError: There is no class list, or it does not fit.
        """
        checkpoint = self._checkpoint
        named = self._named_classes() or checkpoint.classes
        if named is None:
            raise ConfigError(
                f"{checkpoint.folder} names its {checkpoint.num_classes} classes LABEL_0 and so "
                "on: name them by --classes_file"
            )
        if len(named) != checkpoint.num_classes:
            raise ConfigError(
                f"{checkpoint.folder} has {checkpoint.num_classes} classes, {len(named)} are named"
            )
        if checkpoint.classes not in (None, named):
            raise ConfigError(
                f"the classes that are named differ from those of {checkpoint.folder}/config.json"
            )
        return named

    def count_scores(self) -> int | None:
        """Number of classes in the configuration; None if that has to be fetched first."""
        return self._checkpoint.num_classes if Path(self._source).is_dir() else None

    def _named_classes(self) -> tuple[str, ...] | None:
        if self._classes_file is not None:
            return find_classes(str(self._classes_file))
        listed = self._variant and self._variant.classes
        return load_classes(listed) if listed and self._checkpoint.classes is None else None

    def check(self, spec: PreprocessSpec) -> None:
        """Check that the weights exist and clips with this spec fit them.

        Raises:
            ConfigError: The clips do not fit, or a library or the class list is missing.
            ModelError: The checkpoint cannot be fetched.
        """
        checkpoint = self._checkpoint
        files = weight_files(checkpoint.folder)
        taken = (checkpoint.num_frames, checkpoint.image_size)
        if (spec.num_frames, spec.crop_size) != taken:
            raise ConfigError(
                f"{checkpoint.folder} takes {taken[0]} frames of {taken[1]}x{taken[1]}, the clips "
                f"are {spec.num_frames} of {spec.crop_size}x{spec.crop_size}: "
                "see --num_frames and --crop_size"
            )
        _ = self.classes
        require_weights(files, checkpoint.num_classes)

    def digest(self) -> str:
        """16 hexadecimal digits of weights, configuration, scaling of pixels and class list."""
        checkpoint = self._checkpoint
        parts = [weights_digest(checkpoint.folder), checkpoint.text, repr(self._scaling)]
        return hashlib.sha256("\n".join([*parts, *self.classes]).encode()).hexdigest()[:16]

    def load(self, runtime: Runtime = Runtime()) -> HuggingFaceClassifier:
        """Load the model; ``cache_dir`` is not used."""
        return HuggingFaceClassifier(self._checkpoint, self._scaling, runtime)


load = HuggingFaceModel


class HuggingFaceClassifier:
    """A loaded checkpoint: scaling of pixels, network and softmax.

    Args:
        checkpoint: The checkpoint.
        scaling: Scaling of pixels.
        runtime: Device, precision and threads.

    Raises:
        ModelError: The weights do not fit the architecture, or there is no such device.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        scaling: Scaling,
        runtime: Runtime,
    ) -> None:
        self._network = Network(checkpoint, runtime)
        self._scaling = scaling
        self._num_classes, self._architecture = checkpoint.num_classes, checkpoint.architecture

    def predict(self, clips: Views) -> Array:
        """Probabilities, (batch, classes), of clips (batch, frames, height, width, 3) uint8 RGB."""
        return in_pieces(self._run, clips, self._network.device)

    def _run(self, clips: Views) -> Array:
        network = self._network
        with network.inference():
            pixels = network.scaled(clips, self._scaling)
            by_frame = getattr(network.model.config, "attention_type", None) == "space_only"
            logits = self._mean_of_frames(pixels) if by_frame else self._logits(pixels)
            if logits.numel() != len(clips) * self._num_classes:
                raise ModelError(
                    f"{self._architecture} gave scores {list(logits.shape)} for {len(clips)} clips "
                    f"and {self._num_classes} classes"
                )
            rows = logits.reshape(len(clips), -1)  # VideoPrism gives (batch, 1, classes)
            return network.array(network.torch.softmax(rows.float(), dim=-1))

    def _logits(self, pixels: Any) -> Any:
        model = self._network.model
        return model(**{model.main_input_name: pixels}).logits

    def _mean_of_frames(self, pixels: Any) -> Any:
        """Logits of a TimeSformer without attention over time, from the mean of frames' tokens.

        The authors average before the last normalisation, see ``forward_features`` in
        https://github.com/facebookresearch/TimeSformer/blob/main/timesformer/models/vit.py.
        transformers 5.23 does not average, and gives a row of logits for each frame.
        """
        model, (batch, frames) = self._network.model, pixels.shape[:2]
        tokens = model.timesformer(pixels, output_hidden_states=True).hidden_states[-1]
        mean = tokens.reshape(batch, frames, *tokens.shape[1:]).mean(dim=1)
        return model.classifier(model.timesformer.layernorm(mean)[:, 0])
