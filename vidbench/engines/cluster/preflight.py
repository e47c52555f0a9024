"""Check every node of a cluster before work starts."""

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
    """Raise ConfigError unless all nodes have this version of vidbench and see the same folders."""
    if len(nodes) < 2:
        return
    with _tokens(config) as paths:
        references = [_ask(node, look, paths) for node in nodes]
        answers = [_answer(*pair) for pair in zip(nodes, references, strict=True)]
    for node, (version, missing) in zip(nodes, answers, strict=True):
        if version != __version__:
            raise ConfigError(
                f"node {node.address} has vidbench {version}, and this is {__version__}: "
                "install the same on all"
            )
        for option in missing:
            raise ConfigError(
                f"node {node.address} does not see the files in --{option} here: name a folder "
                "that all nodes share, or a URL such as s3://bucket/folder"
            )


def look(paths: Mapping[str, Path]) -> tuple[str, list[str]]:
    """The version of vidbench on this node, and the options whose paths do not exist on it."""
    return __version__, [name for name, path in paths.items() if not path.exists()]


@contextmanager
def _tokens(config: RunConfig) -> Iterator[dict[str, Path]]:
    """Paths by option that exist only on nodes that share this machine's folder."""
    names = ("cache_dir", "data_dir", "dataset_path")
    local = {name: local_folder(config, name) for name in names}
    folders = {name: folder.absolute() for name, folder in local.items() if folder is not None}
    tokens = {name: temporary_path(folder / "token") for name, folder in folders.items()}
    made = {name: token for name, token in tokens.items() if _touch(token)}
    existing = {name: folder for name, folder in folders.items() if folder.exists()}
    try:
        yield existing | made
    finally:
        for token in made.values():
            token.unlink(missing_ok=True)


def _touch(path: Path) -> bool:
    """Create the file; return False if that fails, e.g. in a read-only folder."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError:
        return False
    return True


def _ask(node: Node, function: Callable[..., Any], *arguments: Any) -> Any:
    """Start a function on a node; return Ray's reference to its result."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    on_node = NodeAffinitySchedulingStrategy(node.node_id, soft=False)
    remote: Any = ray.remote(num_cpus=0)(function)
    return remote.options(scheduling_strategy=on_node).remote(*arguments)


def _answer(node: Node, reference: Any) -> Any:
    import ray
    from ray.exceptions import RayError

    try:
        return ray.get(reference)
    except RayError as error:
        message = (str(error).strip().splitlines() or [repr(error)])[-1]
        raise ConfigError(f"node {node.address} cannot run vidbench: {message}") from error
