"""Hugging Face: transformers, imported late and quietly; folders of weights, local or fetched."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vidbench.data.hashes import sha256_of
from vidbench.errors import ConfigError, ModelError

logger = logging.getLogger(__name__)

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
"""What names the files of weights that are too large for one."""

_HUB_NAME = re.compile(r"(?P<name>[\w-][\w.-]*/[\w-][\w.-]*)(@(?P<revision>[\w./-]+))?")
_ADVICE = "a pull request of its page may have added it: owner/name@refs/pr/1"
_FETCHED = ("*.json", "*.safetensors", "*.txt", "*.model")  # nothing that would be unpickled


def import_transformers() -> Any:
    """Transformers, without progress bars and advice unless debugging is on."""
    import transformers

    if not logging.getLogger("vidbench").isEnabledFor(logging.DEBUG):
        messages: Any = transformers.utils.logging
        messages.set_verbosity_error()
        messages.disable_progress_bar()
    return transformers


def local_snapshot(name_or_folder: str) -> Path:
    """The folder of a model on this machine; fetched from Hugging Face where it must be.

    Args:
        name_or_folder: A folder, or else a name on Hugging Face such as
            ``MCG-NJU/videomae-base-finetuned-kinetics``, ``owner/name@revision`` for another
            revision than the main one. Its cache is looked at first.

    Raises:
        ConfigError: It is neither.
        ModelError: Neither the cache nor the network has it; the message says what was tried.
    """
    folder = Path(name_or_folder)
    if _holds(folder, Path.is_dir):
        return folder
    named = _HUB_NAME.fullmatch(name_or_folder)
    if named is None or _holds(folder, Path.exists):
        raise ConfigError(
            f"model_path {name_or_folder} is no folder, and no name on Hugging Face (owner/name)"
        )
    tried = []
    for place, offline in (("its cache on this machine", True), ("https://huggingface.co", False)):
        found = _snapshot(named["name"], named["revision"], offline=offline)
        if isinstance(found, Path):
            logger.debug("%s from %s: %s", name_or_folder, place, found)
            return found
        tried.append(f"  {place}: {found}")
    raise ModelError(
        f"{name_or_folder} is no folder here, and was not found on Hugging Face either. Tried, in "
        "this order:\n" + "\n".join(tried)
    )


def _holds(path: Path, question: Callable[[Path], bool]) -> bool:
    try:
        return question(path)
    except OSError:  # a name that no file can have
        return False


def _snapshot(name: str, revision: str | None, *, offline: bool) -> Path | str:
    """The folder, or why there is none."""
    import huggingface_hub
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    try:
        folder = Path(
            huggingface_hub.snapshot_download(
                name, revision=revision, local_files_only=offline, allow_patterns=list(_FETCHED)
            )
        )
    except Exception as error:  # noqa: BLE001 - the errors of several libraries; all are shown
        message = "it is not there" if offline else " ".join(str(error).split())
        return message[:300] or type(error).__name__
    if not (folder / WEIGHTS).is_file() and not (folder / INDEX).is_file():
        return "its safetensors are not there" if offline else f"it has no {WEIGHTS}; {_ADVICE}"
    return folder


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file of a model's folder.

    Raises:
        ConfigError: There is no such file, or it holds something else.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold a JSON object, not {type(content).__name__}")
    return content


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The files with the weights of a model's folder, safetensors only.

    Raises:
        ConfigError: There are none, a part is missing, or they would have to be unpickled.
    """
    if (folder / WEIGHTS).is_file():
        return (folder / WEIGHTS,)
    if (folder / INDEX).is_file():
        return _parts(folder)
    if pickled := sorted(folder.glob("*.bin")):
        raise ConfigError(
            f"{folder} has {pickled[0].name} but no {WEIGHTS}: unpickling can run anything, so it "
            "is not read; convert it where you trust it, by transformers' save_pretrained"
        )
    raise ConfigError(f"{folder} has no {WEIGHTS}")


def _parts(folder: Path) -> tuple[Path, ...]:
    names = read_json(folder / INDEX).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise ConfigError(f"{folder / INDEX} names no files")
    parts = tuple(folder / str(name) for name in sorted(set(names.values())))
    for part in parts:
        if part.parent != folder or not part.is_file():
            raise ConfigError(f"{folder} lacks {part.name}, which {INDEX} names")
    return parts


def weights_digest(folder: Path) -> str:
    """SHA-256 of a folder's weights, wherever they lie.

    Raises:
        ConfigError: As :func:`weight_files`.
    """
    hashes = [f"{path.name} {sha256_of(path)}\n" for path in weight_files(folder)]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()
