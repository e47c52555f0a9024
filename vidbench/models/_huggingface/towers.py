"""Towers of image-text models: clips and prompts become embeddings, these become probabilities."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidbench.data.records import Views
from vidbench.errors import ConfigError
from vidbench.models._huggingface.checkpoint import Checkpoint
from vidbench.models._huggingface.pretrained import load_weights
from vidbench.models._huggingface.processor import Scaling
from vidbench.models._huggingface.torch_runtime import (
    choose_device,
    import_torch,
    inference,
    require_precision,
)
from vidbench.models._huggingface.transformers_runtime import (
    import_transformers,
)
from vidbench.system.runtime import Runtime

Array = NDArray[np.float32]

_TEXTS_AT_ONCE = 64


class Network:
    """The network of a checkpoint, on a device.

    Attributes:
        torch: The library.
        model: What transformers made of it.
    """

    def __init__(self, checkpoint: Checkpoint, runtime: Runtime) -> None:
        self.torch = import_torch(runtime.num_threads)
        self.device = choose_device(self.torch, runtime.device)
        require_precision(self.torch, self.device, runtime.precision)
        self._precision = runtime.precision
        self._checkpoint = checkpoint
        self.model = load_weights(self.torch, checkpoint).to(self.device)

    def inference(self) -> Any:
        """Within it, tensors are computed without gradients and in the precision asked for."""
        return inference(self.torch, self.device, self._precision)

    def scaled(self, clips: Views, scaling: Scaling | None = None) -> Any:
        """A tensor (..., 3, height, width), float32, of one or more clips.

        Args:
            clips: (..., height, width, 3), uint8 RGB.
            scaling: What takes the place of the processor's.
        """
        scaling = scaling or self._checkpoint.scaling
        pixels = self.tensor(clips).movedim(-1, -3).contiguous()
        mean, std = (self.tensor(v)[:, None, None] for v in (scaling.mean, scaling.std))
        return (pixels.to(self.torch.float32) * scaling.factor - scaling.offset - mean) / std

    def tensor(self, values: Any) -> Any:
        """A copy of the values on the device."""
        return self.torch.tensor(values, device=self.device)

    def array(self, tensor: Any) -> Array:
        """A copy of the tensor, float32."""
        return np.asarray(tensor.float().cpu().numpy(), np.float32)

    def embed_texts(self, texts: Sequence[str]) -> Array:
        """What the tower for text makes of each, (texts, dimensions), of any length.

        Raises:
            ConfigError: A text is too long.
        """
        tokenizer = import_transformers().AutoTokenizer.from_pretrained(
            self._checkpoint.folder, local_files_only=True, trust_remote_code=False
        )
        self._refuse_long(tokenizer, texts)
        starts = range(0, len(texts), _TEXTS_AT_ONCE)
        pieces = [texts[start : start + _TEXTS_AT_ONCE] for start in starts]
        return np.concatenate([self._embed_piece(tokenizer, piece) for piece in pieces])

    def _embed_piece(self, tokenizer: Any, texts: Sequence[str]) -> Array:
        siglip = self.model.config.model_type == "siglip"  # it was trained with padding to the end
        tokens = tokenizer(
            list(texts),
            padding="max_length" if siglip else True,
            max_length=self._num_tokens if siglip else None,
            return_tensors="pt",
        )
        inputs = {"input_ids": tokens["input_ids"].to(self.device)}
        if not siglip:
            inputs["attention_mask"] = tokens["attention_mask"].to(self.device)
        with self.inference():
            return self.array(self.model.get_text_features(**inputs).pooler_output)

    def _refuse_long(self, tokenizer: Any, texts: Sequence[str]) -> None:
        for text, tokens in zip(texts, tokenizer(list(texts))["input_ids"], strict=True):
            if len(tokens) > self._num_tokens:
                raise ConfigError(
                    f"--prompts: {text!r} has {len(tokens)} tokens, the model reads "
                    f"{self._num_tokens}: shorten it"
                )

    @property
    def _num_tokens(self) -> int:
        return int(self.model.config.text_config.max_position_embeddings)


class ZeroShotClassifier(ABC):
    """A checkpoint with prompts, loaded.

    Each clip goes through alone, so that its features and scores depend on no other, bit for bit.

    Args:
        network: The towers.
        texts: Embeddings of all prompts, (prompts, dimensions), class by class.
        counts: How many prompts each class has.
    """

    def __init__(self, network: Network, texts: Array, counts: Sequence[int]) -> None:
        self.network = network
        self.texts = texts
        self._starts = np.cumsum([0, *counts[:-1]])
        self._scale = network.array(network.model.logit_scale.detach().float().exp())

    def predict(self, clips: Views) -> Array:
        """Probabilities, (batch, classes), of clips (batch, frames, height, width, 3) uint8 RGB."""
        return self.classify(self.embed(clips))

    def embed(self, clips: Views) -> Array:
        """What the tower for images makes of each clip, (batch, ...); no class is needed."""
        return np.stack([self.embed_clip(clip) for clip in clips])

    def classify(self, features: Array) -> Array:
        """Probabilities, (batch, classes), of what :meth:`embed` gave.

        They are the softmax of the cosines between video and classes times ``logit_scale``.
        """
        return np.stack([self._classify_clip(each) for each in features])

    def _classify_clip(self, features: Array) -> Array:
        video, texts = self.compare(features)
        # A product by BLAS would be split among threads of its own, as many as there are cores.
        cosines = np.einsum("cd,d->c", self._class_embeddings(texts), unit(video))
        logits = self._scale * cosines
        odds = np.exp(logits - logits.max())
        return np.asarray(odds / odds.sum(), np.float32)

    def _class_embeddings(self, texts: Array) -> Array:
        """The mean of each class's prompts, (classes, dimensions), all of length 1.

        As in CLIP's paper, section 3.1.4 (arXiv:2103.00020), and ``zeroshot_classifier`` of its
        notebook Prompt_Engineering_for_ImageNet.
        """
        return unit(np.add.reduceat(unit(texts), self._starts, axis=0))

    @abstractmethod
    def embed_clip(self, clip: Views) -> Array:
        """Features of one clip (frames, height, width, 3), of any shape."""

    @abstractmethod
    def compare(self, features: Array) -> tuple[Array, Array]:
        """The video's embedding (dimensions,), and the prompts' (prompts, dimensions) for it."""


def unit(vectors: Array) -> Array:
    """The vectors along the last axis, of length 1."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)
