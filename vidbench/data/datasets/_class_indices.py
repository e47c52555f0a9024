"""Convert labels that are indices of a class list to class names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath

from vidbench.errors import ConfigError
from vidbench.labels.class_lists import fold_name, index_of


def name_labels(
    labels: Sequence[str], classes: Sequence[str], path: Path, source: object
) -> list[str]:
    """Convert labels to class names: labels that are indices count from 0.

    Args:
        labels: Labels as text; empty for none.
        classes: Names in the order of indices.
        path: The list of videos, for messages.
        source: The list of classes, for messages.

    Returns:
        A name for each label; labels that are neither names nor indices are unchanged.

    Raises:
        ConfigError: The labels could be names or indices, with different meanings; or an index is
            out of range.
    """
    given = {label for label in labels if label}
    numbers = {label: number for label in given if (number := index_of(label)) is not None}
    if not given or len(numbers) < len(given):
        return list(labels)
    by_index = {label: classes[n] for label, n in numbers.items() if 0 <= n < len(classes)}
    are_names, in_range = given <= set(classes), len(by_index) == len(given)
    if are_names and in_range and any(label != name for label, name in by_index.items()):
        label, name = next((label, name) for label, name in by_index.items() if label != name)
        raise ConfigError(
            f"labels of {path} are ambiguous: {label!r} is the name of a class in {source}, or "
            f"the index of the class {name!r}; write names"
        )
    if are_names:
        return list(labels)
    if not in_range:
        raise ConfigError(_beyond(sorted(numbers.values()), len(classes), path, source))
    return [by_index[label] if label else "" for label in labels]


def refuse_other_folders(
    paths: Sequence[str], names: Sequence[str], classes: Sequence[str], path: Path
) -> None:
    """Raise ConfigError if the class folders of most videos contradict their indices.

    This happens if indices count from 1, or belong to another list.

    Args:
        paths: Paths of the videos.
        names: Class names of their indices; empty for none.
        classes: Names in the order of indices.
        path: The list of videos, for the message.
    """
    folded = {fold_name(name): name for name in classes}
    folders = (folded.get(fold_name(PurePath(each).parent.name)) for each in paths)
    judged = [each for each in zip(paths, names, folders, strict=True) if each[1] and each[2]]
    wrong = [each for each in judged if each[1] != each[2]]
    if 2 * len(wrong) > len(judged):
        video, name, _ = wrong[0]
        raise ConfigError(
            f"{len(wrong)} of the indices in {path} contradict the folders of their videos, e.g. "
            f"{video!r} would be {name!r}: indices count from 0, and --classes_file must be the "
            "list that they belong to"
        )


def _beyond(numbers: Sequence[int], count: int, path: Path, source: object) -> str:
    text = (
        f"labels of {path} are numbers from {numbers[0]} to {numbers[-1]}, and {source} has "
        f"{count} classes, 0 to {count - 1}"
    )
    if numbers[0] >= 1 and numbers[-1] == count:
        return f"{text}: they seem to count from 1; subtract 1"
    return f"{text}: name the list that they belong to with --classes_file"
