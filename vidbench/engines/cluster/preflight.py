"""What is looked at on every node before work starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vidbench._version import __version__
from vidbench.config.places import local_folder
from vidbench.config.run_config import RunConfig
from vidbench.engines.cluster.plan import Node
from vidbench.errors import ConfigError
from vidbench.storage.files import temporary_path


def require_equal_nodes(nodes: Sequence[Node], config: RunConfig) -> None:
    """Check that every node has this vidbench and sees the same folders.

    Raises:
        ConfigError: A node has not, or does not.
    """
    if len(nodes) < 2:
        return
    with _tokens(config) as wanted:
        asked = [_ask(node, look, wanted) for node in nodes]
        found = [_answer(node, reference) for node, reference in zip(nodes, asked, strict=True)]
    for node, (version, missing) in zip(nodes, found, strict=True):
        if version != __version__:
            raise ConfigError(
                f"node {node.address} has vidbench {version}, and this is {__version__}: "
                "install the same on all"
            )
        for option in missing:
            raise ConfigError(
                f"node {node.address} does not see what lies in --{option} here: name a folder "
                "that all nodes share, or a URL such as s3://bucket/folder"
            )


def look(wanted: Mapping[str, Path]) -> tuple[str, list[str]]:
    """The version here, and the options whose files are not here."""
    return __version__, [name for name, path in wanted.items() if not path.exists()]


@contextmanager
def _tokens(config: RunConfig) -> Iterator[dict[str, Path]]:
    """By option a path that only who sees this machine's folder can see."""
    names = ("cache_dir", "data_dir", "dataset_path")
    found = {name: local_folder(config, name) for name in names}
    folders = {name: folder.absolute() for name, folder in found.items() if folder is not None}
    tokens = {name: temporary_path(folder / "token") for name, folder in folders.items()}
    made = {name: token for name, token in tokens.items() if _touch(token)}
    here = {name: folder for name, folder in folders.items() if folder.exists()}
    try:
        yield here | made
    finally:
        for token in made.values():
            token.unlink(missing_ok=True)


def _touch(path: Path) -> bool:
    """Whether the file could be made; a folder that is only read need not take it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError:
        return False
    return True


def _ask(node: Node, function: Callable[..., Any], *arguments: Any) -> Any:
    """Ray's reference to what the function says on this node."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node.node_id, soft=False)
    remote: Any = ray.remote(num_cpus=0)(function)
    return remote.options(scheduling_strategy=there).remote(*arguments)


def _answer(node: Node, reference: Any) -> Any:
    import ray
    from ray.exceptions import RayError

    try:
        return ray.get(reference)
    except RayError as error:
        said = (str(error).strip().splitlines() or [repr(error)])[-1]
        raise ConfigError(f"node {node.address} cannot run vidbench: {said}") from error
