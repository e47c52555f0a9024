"""Which classes a file's predictions are of, and what its names and numbers mean."""

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
    """The classes of columns of scores, in the order of the columns.

    Args:
        columns: As the file has them; None where it does not name them.
        count: How many columns there are.
        listed: The model's classes, where a list of them is given.

    Raises:
        ConfigError: They are numbers and no list is given, or they are not those of the list.
    """
    if columns is None and listed is None:
        raise ConfigError(
            f"the file has {count} scores a video and no names for them: name the classes, in the "
            "order of the scores, with --classes_file FILE (or a list that ships with vidbench)"
        )
    if columns is None:
        if listed is not None and len(listed) != count:
            raise ConfigError(
                f"the file has {count} scores a video and no names for them, and --classes_file "
                f"lists {len(listed)} classes: they must be those of the scores, in their order"
            )
        columns = range(count)
    named = _translate(columns, listed)
    classes = tuple(named[name] for name in columns)
    if listed is not None and set(classes) != set(listed):
        lacking = sorted(set(listed) - set(classes))
        raise ConfigError(
            f"the file scores {count} classes and --classes_file lists {len(listed)}: "
            f"{len(lacking)} of the list are not scored, e.g. {lacking[0]!r}"
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
    """The classes that could have been ranked, and those that each row ranks, best first.

    Args:
        rankings: As the file has them.
        listed: The model's classes, where a list of them is given.
        known: The dataset's, which the model's are taken to be where no list is given, under the
            names that the file has for them.
        aliases: The predicted class for some of the dataset's names.

    Raises:
        ConfigError: A class is none of them, or is named twice in a row.
    """
    found = dict.fromkeys(name for ranking in rankings for name in ranking)
    named = _translate(found, listed, known)
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
    """What each name or index means: a class of that name, or else the one at that place.

    Raises:
        ConfigError: They are indices without a list, or beyond it.
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
    places = {text: listed[n] for text in unknown if 0 <= (n := indices[text] or 0) < len(listed)}
    if beyond := [text for text in unknown if text not in places]:
        raise ConfigError(
            f"class {beyond[0]} is beyond the {len(listed)} of --classes_file, which count from 0"
        )
    return {name: places.get(text, text) for name, text in texts.items()}


def _refuse_unknown(names: Sequence[str], classes: Sequence[str], is_listed: bool) -> None:
    known = set(classes)
    unknown = [name for name in names if name not in known]
    if not unknown:
        return
    near = near_misses(unknown[:1], classes)
    whose = "--classes_file" if is_listed else "the dataset"
    hint = f" (did you mean {near[unknown[0]]!r}?)" if near else ""
    advice = (
        "; --class_aliases FILE accepts other names, and a model of other classes needs all of "
        "them in --classes_file"
    )
    raise ConfigError(
        f"{len(unknown)} predicted classes are none of the {len(classes)} of {whose}, e.g. "
        f"{unknown[0]!r}{hint}{'' if is_listed else advice}"
    )
