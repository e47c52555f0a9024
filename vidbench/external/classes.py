"""Determine the classes of a file's predictions, and resolve its class names and indices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from vidbench.errors import ConfigError
from vidbench.external.answers import Name
from vidbench.labels.aliases import near_misses
from vidbench.labels.alignment import align
from vidbench.labels.class_lists import index_of


def name_columns(
    columns: Sequence[Name] | None, count: int, listed: Sequence[str] | None
) -> tuple[str, ...]:
    """Classes of the columns of scores, in the order of the columns.

    Args:
        columns: Classes as written in the file; None if it does not name them.
        count: Number of columns.
        listed: The model's classes, if a list is given.

    Raises:
        ConfigError: They are numbers and no list is given, or they differ from the list.
    """
    if columns is None and listed is None:
        raise ConfigError(
            f"the file has {count} scores per video without class names: name the classes, in the "
            "order of the scores, with --classes_file FILE (or a list that ships with vidbench)"
        )
    if columns is None:
        if listed is not None and len(listed) != count:
            raise ConfigError(
                f"the file has {count} scores per video without class names, and --classes_file "
                f"lists {len(listed)} classes: it must list the classes of the scores, in order"
            )
        columns = range(count)
    named = _translate(columns, listed)
    classes = tuple(named[name] for name in columns)
    if listed is not None and set(classes) != set(listed):
        missing = sorted(set(listed) - set(classes))
        raise ConfigError(
            f"the file scores {count} classes and --classes_file lists {len(listed)}: "
            f"{len(missing)} of the list are not scored, e.g. {missing[0]!r}"
        )
    if len(set(classes)) < len(classes):
        twice = next(name for name in classes if classes.count(name) > 1)
        raise ConfigError(f"the file scores the class {twice!r} twice")
    return classes


def name_rankings(
    rankings: Sequence[tuple[Name, ...]],
    listed: Sequence[str] | None,
    known: Sequence[str],
    aliases: Mapping[str, str] | None = None,
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """All classes of the model, and the classes that each row ranks, best first.

    Args:
        rankings: Rankings as written in the file.
        listed: The model's classes, if a list is given.
        known: The dataset's classes; without a list, the model is assumed to have these, under the
            names in the file.
        aliases: The predicted class for some of the dataset's names.

    Raises:
        ConfigError: A class is not among them, or is repeated in a row.
    """
    ranked = dict.fromkeys(name for ranking in rankings for name in ranking)
    named = _translate(ranked, listed, known)
    if listed is None:
        targets = align(known, list(named.values()), aliases).targets
        classes = tuple(targets.get(name, name) for name in known)
    else:
        classes = tuple(listed)
    _refuse_unknown(list(named.values()), classes, listed is not None)
    translated = [tuple(named[name] for name in ranking) for ranking in rankings]
    for ranking in translated:
        if len(set(ranking)) < len(ranking):
            raise ConfigError(f"a row ranks a class twice: {', '.join(ranking)[:80]}")
    return classes, translated


def _translate(
    names: Iterable[Name], listed: Sequence[str] | None, known: Sequence[str] = ()
) -> Mapping[Name, str]:
    """Map each name or index to a class: the class of that name, or else the one at that index.

    Raises:
        ConfigError: There are indices without a list, or out of its range.
    """
    texts = {name: str(name) for name in names}
    indices = {text: index_of(text) for text in texts.values()}
    classes = set(known if listed is None else listed)
    unknown = [text for text in texts.values() if text not in classes]
    if not unknown or any(indices[text] is None for text in unknown):
        return texts
    if listed is None:
        raise ConfigError(
            f"classes are given as numbers, e.g. {unknown[0]}: name the model's classes in their "
            "order with --classes_file FILE (or a list that ships, e.g. kinetics-400)"
        )
    by_index = {text: listed[n] for text in unknown if 0 <= (n := indices[text] or 0) < len(listed)}
    if beyond := [text for text in unknown if text not in by_index]:
        raise ConfigError(
            f"class {beyond[0]} is out of range: --classes_file has {len(listed)} classes, "
            "counted from 0"
        )
    return {name: by_index.get(text, text) for name, text in texts.items()}


def _refuse_unknown(names: Sequence[str], classes: Sequence[str], is_listed: bool) -> None:
    allowed = set(classes)
    unknown = [name for name in names if name not in allowed]
    if not unknown:
        return
    near = near_misses(unknown[:1], classes)
    source = "--classes_file" if is_listed else "the dataset"
    hint = f" (did you mean {near[unknown[0]]!r}?)" if near else ""
    advice = (
        "; --class_aliases FILE accepts other names, and a model of other classes needs all of "
        "them in --classes_file"
    )
    raise ConfigError(
        f"{len(unknown)} predicted classes are not among the {len(classes)} of {source}, e.g. "
        f"{unknown[0]!r}{hint}{'' if is_listed else advice}"
    )
