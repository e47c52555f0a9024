"""Hugging Face: transformers, imported late and quietly; folders of weights, local or fetched."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vidbench.errors import ConfigError, ModelError
from vidbench.models._apart import run_apart
from vidbench.storage.hashes import sha256_of

logger = logging.getLogger(__name__)

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
"""What names the files of weights that are too large for one."""

ADAPTER = "adapter_config.json"
"""Of a folder of PEFT, which holds changes to the weights of another model."""

_PROCESSORS = (
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
)
_TOKENIZERS = (
    ("tokenizer.json",),
    ("vocab.json", "merges.txt"),
    ("spiece.model",),
    ("tokenizer.model",),
    ("vocab.txt",),
)
"""Files of which all of a row are enough."""

_CHUNK_BYTES = 1 << 16  # what must come before it is seen in the file; the library waits for 10 MB
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


def find_source(
    family: str, sources: Mapping[str, str], variant: str, model_path: str | None
) -> str:
    """The folder or the name on Hugging Face of a checkpoint, for :func:`local_snapshot`.

    Args:
        family: Of models.
        sources: Names on Hugging Face by the family's variants.
        variant: One of them, or "" for any checkpoint.
        model_path: What takes the place of the variant's own source.

    Raises:
        ConfigError: There is no such variant, or neither variant nor path.
    """
    if variant and variant not in sources:
        raise ConfigError(f"there is no {family}/{variant}, only {', '.join(sources)}")
    if not variant and not model_path:
        raise ConfigError(
            f"model_type {family} needs --model_path, a folder or a name on Hugging Face, or a "
            f"variant such as {family}/{next(iter(sources))}"
        )
    return model_path or sources[variant]


def local_snapshot(name_or_folder: str) -> Path:
    """The folder of a model on this machine; fetched from Hugging Face where it must be.

    Args:
        name_or_folder: A folder, or else a name on Hugging Face such as
            ``MCG-NJU/videomae-base-finetuned-kinetics``, ``owner/name@revision`` for another
            revision than the main one. Its cache is looked at first; what lacks there is fetched.

    Raises:
        ConfigError: It is neither.
        ModelError: Neither the cache nor the network has it; the message says what was tried.
    """
    folder = Path(name_or_folder)
    if os.path.isdir(folder):  # noqa: PTH112 - takes any name
        return folder
    named = _HUB_NAME.fullmatch(name_or_folder)
    if named is None or os.path.exists(folder):  # noqa: PTH110
        raise ConfigError(
            f"model_path {name_or_folder} is no folder, and no name on Hugging Face (owner/name)"
        )
    tried = []
    for look in (_from_cache, _from_network):
        place, found = look(named["name"], named["revision"])
        if isinstance(found, Path):
            logger.debug("%s from %s: %s", name_or_folder, place, found)
            return found
        tried.append(f"  {place}: {found}")
    raise ModelError(
        f"{name_or_folder} is no folder here, and no whole model of this name was found. Tried, in "
        "this order:\n" + "\n".join(tried)
    )


def _from_cache(name: str, revision: str | None) -> tuple[str, Path | str]:
    """The place, and the folder or why there is none."""
    import huggingface_hub

    place = "its cache on this machine"
    try:
        folder = Path(
            huggingface_hub.snapshot_download(
                name, revision=revision, local_files_only=True, allow_patterns=list(_FETCHED)
            )
        )
    except Exception as error:  # noqa: BLE001 - the errors of several libraries
        partial = getattr(error, "snapshot_path", None)  # what lacks there may not be needed here
        if partial is None:
            return place, "it is not there"
        folder = Path(partial)
    lacking = lacks(folder)
    return place, f"it lacks {lacking}: {folder}" if lacking else folder


def _from_network(name: str, revision: str | None) -> tuple[str, Path | str]:
    """The place, and the folder or why there is none."""
    from huggingface_hub import constants

    place = constants.ENDPOINT
    if constants.HF_HUB_OFFLINE:
        return place, "not asked, as HF_HUB_OFFLINE is set: unset it, or fill the cache"
    cache = Path(constants.HF_HUB_CACHE)
    watched = cache / f"models--{name.replace('/', '--')}"
    try:
        folder = Path(run_apart(download, name, revision, watched=watched, place=place))
    except ModelError as error:
        return place, str(error)
    lacking = lacks(folder)
    if lacking in (WEIGHTS, INDEX):
        return place, f"it has no {WEIGHTS}; {_ADVICE}"
    return place, f"it has no {lacking}" if lacking else folder


def download(name: str, revision: str | None) -> str:
    """The folder with the model of this name, whose files Hugging Face's library fetches.

    Raises:
        Exception: Of any kind: the network is asked in any case, whatever the cache has.
    """
    import huggingface_hub
    from huggingface_hub import constants
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    constants.DOWNLOAD_CHUNK_SIZE = _CHUNK_BYTES
    huggingface_hub.HfApi().repo_info(name, revision=revision)
    return str(
        huggingface_hub.snapshot_download(name, revision=revision, allow_patterns=list(_FETCHED))
    )


def lacks(folder: Path) -> str | None:
    """A file that a model's folder should have and has not; None where it is whole.

    An adapter's folder counts as whole: what it is of is told where it is read.
    """
    if (folder / ADAPTER).is_file():
        return None
    if not (folder / "config.json").is_file():
        return "config.json"
    if not (folder / WEIGHTS).is_file() and not (folder / INDEX).is_file():
        return WEIGHTS
    if (folder / INDEX).is_file() and not (folder / WEIGHTS).is_file():
        missing = [name for name in _part_names(folder) if not (folder / name).is_file()]
        if missing:
            return missing[0]
    if not any((folder / name).is_file() for name in _PROCESSORS):
        return f"{_PROCESSORS[0]} (or another file of its processor)"
    has_text = b'"text_config"' in (folder / "config.json").read_bytes()
    return lacks_tokenizer(folder) if has_text else None


def lacks_tokenizer(folder: Path) -> str | None:
    """A file that a tokenizer is read from, and that is not there; None where all are."""
    if any(all((folder / name).is_file() for name in names) for names in _TOKENIZERS):
        return None
    return f"{_TOKENIZERS[0][0]} (or other files of its tokenizer)"


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


def _part_names(folder: Path) -> list[str]:
    names = read_json(folder / INDEX).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise ConfigError(f"{folder / INDEX} names no files")
    return sorted({str(name) for name in names.values()})


def _parts(folder: Path) -> tuple[Path, ...]:
    parts = tuple(folder / name for name in _part_names(folder))
    for part in parts:
        if part.parent != folder or not part.is_file():
            raise ConfigError(f"{folder} lacks {part.name}, which {INDEX} names")
    return parts


def refuse_adapter(folder: Path) -> None:
    """Check that the folder holds a model itself.

    Raises:
        ConfigError: It holds an adapter, with or without the model that it changes.
    """
    if (folder / ADAPTER).is_file():
        base = read_json(folder / ADAPTER).get("base_model_name_or_path")
        raise ConfigError(
            f"{folder} holds an adapter of {base!r} ({ADAPTER}), which is not applied: merge them "
            "by PEFT's merge_and_unload, save_pretrained to another folder, and name that"
        )


def weights_digest(folder: Path) -> str:
    """SHA-256 of a folder's weights, wherever they lie.

    Raises:
        ConfigError: As :func:`weight_files`.
    """
    hashes = [f"{path.name} {sha256_of(path)}\n" for path in weight_files(folder)]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()
