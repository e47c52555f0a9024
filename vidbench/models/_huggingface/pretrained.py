"""Networks of transformers with the weights of a checkpoint, all of them and no others."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from typing import Any

from vidbench.errors import ModelError
from vidbench.models._huggingface.checkpoint import Checkpoint
from vidbench.models._huggingface.transformers_runtime import import_transformers
from vidbench.terminal.sanitize import one_line

logger = logging.getLogger(__name__)


def load_weights(torch: Any, checkpoint: Checkpoint) -> Any:
    """The network with all of its weights: transformers itself would make up those that lack.

    Raises:
        ModelError: There is no such network, or the weights are not its own.
    """
    transformers = import_transformers()
    network = _network(torch, transformers, checkpoint.architecture)
    try:
        model, report = network.from_pretrained(
            checkpoint.folder,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # and refused below
        )
    except Exception as error:  # of three libraries
        _refuse_torchvision(torch)
        raise ModelError(f"{checkpoint.folder}: {one_line(error)}") from error
    _require_all(checkpoint, report, transformers.__version__)
    return model.eval()


def _network(torch: Any, transformers: Any, architecture: str) -> Any:
    try:
        network = getattr(transformers, architecture, None)
    except Exception as error:  # what importing a module of it raises
        _refuse_torchvision(torch)
        raise ModelError(f"transformers cannot import {architecture}: {one_line(error)}") from error
    if network is None:
        raise ModelError(f"transformers {transformers.__version__} has no {architecture}")
    return network


def _refuse_torchvision(torch: Any) -> None:
    """Raises ModelError if torchvision is there and cannot be imported.

    transformers imports it wherever it is installed, and then says that something else is missing.
    """
    if importlib.util.find_spec("torchvision") is None:
        return
    try:
        importlib.import_module("torchvision")
    except Exception as error:  # of any kind: it is compiled
        raise ModelError(
            f"torchvision does not fit torch {torch.__version__}: importing it fails "
            f"({one_line(error)}): reinstall it for this torch, or remove it, as vidbench does not "
            "need it"
        ) from error


def _require_all(checkpoint: Checkpoint, report: Any, version: str) -> None:
    folder = checkpoint.folder
    if others := sorted(report["mismatched_keys"], key=str):
        name, found, wanted = others[0]
        raise ModelError(
            f"{folder} has {len(others)} weights of another size than its config.json says, e.g. "
            f"{name} {list(found)} where {list(wanted)} is wanted: they belong to different models"
        )
    if missing := sorted(map(str, report["missing_keys"])):
        raise ModelError(
            f"{folder} lacks {len(missing)} of the weights that transformers {version} needs, "
            f"e.g. {missing[0]}: see whether another version reads them"
        )
    if unused := sorted(map(str, report["unexpected_keys"])):
        message = "%s: %d of its weights are not used, e.g. %s"
        logger.warning(message, folder, len(unused), unused[0])
