"""What models share whose classes are prompts: towers of Hugging Face, text embeddings, softmax."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path

from vidbench.data.clips.features import FeatureCache
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import ConfigError
from vidbench.models._huggingface.checkpoint import Checkpoint
from vidbench.models._huggingface.processor import read_processor
from vidbench.models._huggingface.prompts import Prompts, read_prompts
from vidbench.models._huggingface.safetensors_header import read_shapes
from vidbench.models._huggingface.torch_runtime import require_torch
from vidbench.models._huggingface.towers import Array, Network, ZeroShotClassifier
from vidbench.models._huggingface.transformers_runtime import (
    find_source,
    lacks_tokenizer,
    local_snapshot,
    read_json,
    refuse_adapter,
    weight_files,
    weights_digest,
)
from vidbench.models.base import FEATURES, ModelEntry, ModelFamily
from vidbench.storage.hashes import sha256_of
from vidbench.system.runtime import Runtime

HUB = "https://huggingface.co/"

_VERSION = 1  # raised whenever features or embeddings of texts are made otherwise
_TOKENIZER_FILES = ("*token*.json", "vocab.json", "merges.txt", "*.model")


@dataclass(frozen=True, kw_only=True)
class ZeroShotFamily:
    """What tells one family of zero-shot models from another.

    Attributes:
        name: As ``--model_type`` has it.
        entries: For any checkpoint, and for each known one, whose source is its page.
        architectures: The class of transformers, by ``model_type`` of ``config.json``.
        templates: Those of class lists that bring none.
        classifier: What runs it.
        num_frames: Of a clip, where the model takes any number; None where it says how many.
        trained_on: The dataset whose train split a variant has seen; None where it is not stated.
    """

    name: str
    entries: tuple[ModelEntry, ...]
    architectures: Mapping[str, str]
    templates: tuple[str, ...]
    classifier: type[ZeroShotClassifier]
    num_frames: int | None = None
    trained_on: Callable[[str], str | None] = lambda _: None

    @cached_property
    def sources(self) -> Mapping[str, str]:
        """Names on Hugging Face of the known checkpoints, by variant."""
        variants = {entry.name.partition("/")[2]: entry.source for entry in self.entries}
        return {name: source.removeprefix(HUB) for name, source in variants.items() if name}

    def declare(self) -> ModelFamily:
        """The declaration for ``FAMILY`` of its module."""
        return ModelFamily(
            name=self.name,
            needs="torch",
            entries=self.entries,
            input=FEATURES,
            options=frozenset({"model_path", "prompts"}),
            variants=tuple(self.sources),
        )


class ZeroShotModel:
    """A checkpoint with prompts, not loaded yet; constructing it does no I/O.

    Args:
        family: What it is one of.
        variant: One of the family's, or "" for any checkpoint.
        model_path: A folder or a name on Hugging Face; None for the variant's own.
        prompts: A file of classes or prompts, or the name of a class list that ships.

    Raises:
        ConfigError: There is no such variant, no checkpoint is named, or there are no prompts.
    """

    def __init__(
        self,
        family: ZeroShotFamily,
        variant: str,
        *,
        model_path: str | None = None,
        prompts: Path | None = None,
    ) -> None:
        self._source = find_source(family.name, family.sources, variant, model_path)
        if prompts is None:
            raise ConfigError(
                f"model_type {family.name} needs --prompts: a file with one class a line, a .json "
                "file with prompts, or a class list such as kinetics-400"
            )
        self.name = f"{family.name}/{variant}" if variant else family.name
        self.trained_on = family.trained_on(variant) if variant else None
        self._family = family
        self._prompts_source = prompts

    @cached_property
    def _prompts(self) -> Prompts:
        return read_prompts(self._prompts_source, self._family.templates)

    @cached_property
    def _checkpoint(self) -> Checkpoint:
        require_torch(self._family.name)
        return _read_towers(local_snapshot(self._source), self._family)

    @property
    def spec(self) -> PreprocessSpec:
        """Frames spread over the whole video, resized and cropped as the processor says."""
        return self._checkpoint.spec

    @property
    def classes(self) -> tuple[str, ...]:
        """Those of the prompts, in their order."""
        return self._prompts.classes

    def read_thresholds(self) -> Mapping[str, float]:
        """The least score with which a class counts as seen, for classes that have one."""
        return self._prompts.thresholds

    def check(self, spec: PreprocessSpec) -> None:
        """Check that weights and prompts are there and clips of this spec fit.

        Raises:
            ConfigError: They do not, or a library is missing.
            ModelError: The checkpoint cannot be fetched.
        """
        _ = self._prompts
        checkpoint = self._checkpoint
        for path in weight_files(checkpoint.folder):
            read_shapes(path)
        if lacking := lacks_tokenizer(checkpoint.folder):
            # transformers 5.23 makes a tokenizer of two words up, to which all prompts are equal
            raise ConfigError(
                f"{checkpoint.folder} lacks {lacking}, which reads prompts: copy it from where the "
                "model comes from"
            )
        size = checkpoint.image_size
        if spec.crop_size != size:
            raise ConfigError(
                f"{checkpoint.folder} takes frames of {size}x{size}, the clips have "
                f"{spec.crop_size}x{spec.crop_size}: see --crop_size"
            )
        if self._family.num_frames is None and spec.num_frames != checkpoint.num_frames:
            raise ConfigError(
                f"{checkpoint.folder} takes {checkpoint.num_frames} frames, the clips have "
                f"{spec.num_frames}: see --num_frames"
            )

    @cached_property
    def _weights_digest(self) -> str:
        return weights_digest(self._checkpoint.folder)

    @property
    def _decisive(self) -> list[str]:
        """What decides what the towers give, apart from precision and libraries."""
        checkpoint = self._checkpoint
        return [self._weights_digest, checkpoint.text, repr(checkpoint.scaling), str(_VERSION)]

    def digest(self) -> str:
        """16 hexadecimal digits of weights, configuration, scaling, tokenizer and prompts."""
        tokenizer = _tokenizer_digest(self._checkpoint.folder)
        return _digest(*self._decisive, tokenizer, self._prompts.digest())

    def embedding_digest(self, precision: str) -> str:
        """16 hexadecimal digits of what decides features: all but the prompts.

        The versions of the libraries are part of it, the device is not.
        """
        versions = [metadata.version(library) for library in ("torch", "transformers")]
        return _digest(*self._decisive, precision, *versions)

    def load(self, runtime: Runtime = Runtime()) -> ZeroShotClassifier:
        """The model, ready to predict; embeddings of prompts are kept in the cache.

        Raises:
            ConfigError: A prompt is too long.
            ModelError: The weights do not fit, or there is no such precision or device.
        """
        network = Network(self._checkpoint, runtime)
        texts = [text for prompts in self._prompts.texts.values() for text in prompts]
        counts = [len(prompts) for prompts in self._prompts.texts.values()]
        if runtime.cache_dir is None:
            embeddings = network.embed_texts(texts)
        else:
            digest = self.embedding_digest(runtime.precision)
            features = FeatureCache(runtime.cache_dir, digest)
            embeddings = self._embed_texts(network, texts, features, runtime.precision)
        return self._family.classifier(network, embeddings, counts)

    def _embed_texts(
        self, network: Network, texts: Sequence[str], features: FeatureCache, precision: str
    ) -> Array:
        name = _digest(self.digest(), self.embedding_digest(precision))
        kept = features.read_text(name)
        if kept is not None:
            return kept
        embeddings = network.embed_texts(texts)
        features.write_text(name, embeddings)
        return embeddings


def _read_towers(folder: Path, family: ZeroShotFamily) -> Checkpoint:
    """What the folder says of its model.

    Raises:
        ConfigError: It holds another kind of model, or does not say how its frames are made.
    """
    refuse_adapter(folder)
    config = read_json(folder / "config.json")
    kind = str(config.get("model_type"))
    if kind not in family.architectures:
        raise ConfigError(
            f"{folder}/config.json is of model_type {kind!r}: model_type {family.name} takes "
            f"{', '.join(family.architectures)} only"
        )
    vision = config.get("vision_config") or {}
    size = vision.get("image_size", 224)
    num_frames = family.num_frames or vision.get("num_frames", 8)
    if not isinstance(size, int) or not isinstance(num_frames, int):
        raise ConfigError(f"{folder}/config.json: image_size and num_frames must be whole numbers")
    processor = read_processor(folder, "images", kind, size)
    return Checkpoint(
        folder=folder,
        architecture=family.architectures[kind],
        num_frames=num_frames,
        image_size=size,
        classes=None,
        num_classes=0,
        spec=PreprocessSpec(num_frames=num_frames, **processor.resizing),
        scaling=processor.scaling,
        text=json.dumps(config, sort_keys=True),
    )


def _tokenizer_digest(folder: Path) -> str:
    paths = sorted({path for pattern in _TOKENIZER_FILES for path in folder.glob(pattern)})
    return _digest(*(f"{path.name} {sha256_of(path)}" for path in paths))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
