"""Labels that are indices of a class list become its names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath

from vidbench.errors import ConfigError
from vidbench.labels.class_lists import fold_name, index_of


def name_labels(
    labels: Sequence[str], classes: Sequence[str], path: Path, source: object
) -> list[str]:
    """The names that labels mean: themselves, or those at their indices, from 0.

    Args:
        labels: Texts; empty for none.
        classes: Names in the order of indices.
        path: Of the list, for messages.
        source: Of the classes, likewise.

    Returns:
        A name for each label; labels that are neither names nor indices stay as they are.

    Raises:
        ConfigError: The labels could be names or indices, with other meanings; or an index is
            beyond the classes.
    """
    asked = {label for label in labels if label}
    numbers = {label: number for label in asked if (number := index_of(label)) is not None}
    if not asked or len(numbers) < len(asked):
        return list(labels)
    by_index = {label: classes[n] for label, n in numbers.items() if 0 <= n < len(classes)}
    are_names, in_range = asked <= set(classes), len(by_index) == len(asked)
    if are_names and in_range and any(label != name for label, name in by_index.items()):
        label, name = next((label, name) for label, name in by_index.items() if label != name)
        raise ConfigError(
            f"labels of {path} can be read in two ways: {label!r} is the class of this name in "
            f"{source}, or the class at this index, {name!r}; write names"
        )
    if are_names:
        return list(labels)
    if not in_range:
        raise ConfigError(_beyond(sorted(numbers.values()), len(classes), path, source))
    return [by_index[label] if label else "" for label in labels]


def refuse_other_folders(
    paths: Sequence[str], names: Sequence[str], classes: Sequence[str], path: Path
) -> None:
    """Nothing, unless most videos lie in folders of other classes than their indices mean.

    So it is where indices count from 1, or belong to another list.

    Args:
        paths: Of the videos.
        names: What their indices mean; empty for none.
        classes: Names in the order of indices.
        path: Of the list, for the message.

    Raises:
        ConfigError: Most of those that lie in a folder of a class do.
    """
    folded = {fold_name(name): name for name in classes}
    folders = (folded.get(fold_name(PurePath(each).parent.name)) for each in paths)
    judged = [each for each in zip(paths, names, folders, strict=True) if each[1] and each[2]]
    others = [each for each in judged if each[1] != each[2]]
    if 2 * len(others) > len(judged):
        video, name, _ = others[0]
        raise ConfigError(
            f"{len(others)} of the indices in {path} contradict the folders of their videos, e.g. "
            f"{video!r} would be {name!r}: indices count from 0, and --classes_file has to be the "
            "list that they are of"
        )


def _beyond(numbers: Sequence[int], count: int, path: Path, source: object) -> str:
    text = (
        f"labels of {path} are numbers from {numbers[0]} to {numbers[-1]}, and {source} has "
        f"{count} classes, 0 to {count - 1}"
    )
    if numbers[0] >= 1 and numbers[-1] == count:
        return f"{text}: they seem to count from 1; subtract 1"
    return f"{text}: name the list that they are indices of by --classes_file"
