"""Draws a small subset for evaluations that cost money or time, and lists it in a manifest."""

from __future__ import annotations

import csv
import difflib
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from vidbench.cli.arguments import parse_options, take_options
from vidbench.cli.commands._subset_options import (
    SubsetOptions,
    build_parser,
    refuse_contradictions,
)
from vidbench.config.opening import open_dataset
from vidbench.config.run_config import RunConfig
from vidbench.data.datasets.base import Dataset
from vidbench.data.records import VideoRecord
from vidbench.data.subset import (
    ClassCount,
    Copier,
    Copies,
    choose,
    copy_subset,
    count_classes,
    format_csv,
    manifest,
)
from vidbench.errors import ConfigError
from vidbench.labels.class_lists import find_classes
from vidbench.storage.csv_cells import unescape_cell
from vidbench.storage.files import replacing
from vidbench.storage.locations import working_folder
from vidbench.system.validation import require_folder
from vidbench.terminal.logs import set_up_logging
from vidbench.terminal.tables import Table

Draw = Callable[[Collection[str]], tuple[VideoRecord, ...]]
"""The videos drawn, leaving out those with the ids given."""

_NAMED = 8  # classes that a line names


def run(arguments: Sequence[str]) -> None:
    """Draws the subset, copies it where asked to, writes the manifest and prints the counts.

    Raises:
        ConfigError: The request is wrong, the split has no labels, or another manifest is there.
    """
    given = parse_options(build_parser(), arguments, {})
    options = take_options(given, SubsetOptions)
    set_up_logging()
    refuse_contradictions(options)
    config = RunConfig(**given, num_videos=options.num_videos, seed=options.seed)
    require_folder("data_dir", working_folder(config.data_dir), written=False)
    dataset = open_dataset(config)
    classes = _read_classes(options, dataset)
    records, _, num_listed = dataset.fetch(classes=classes)
    if others := num_listed - len(records):
        print(f"listed videos that other tarballs hold, and that are not counted: {others}",
              file=sys.stderr)  # fmt: skip

    def draw(left_out: Collection[str]) -> tuple[VideoRecord, ...]:
        usable = [record for record in records if record.video_id not in left_out]
        return choose(usable, classes, options.per_class, options.num_videos, options.seed)

    copies = Copies(chosen=draw(())) if options.dry_run else _write(options, dataset, draw)
    _print(options, count_classes(records, classes, copies.chosen), copies)


def _read_classes(options: SubsetOptions, dataset: Dataset) -> tuple[str, ...]:
    known = dataset.classes
    classes = known if options.classes is None else find_classes(options.classes)
    if unknown := [name for name in classes if name not in set(known)]:
        (nearest,) = difflib.get_close_matches(unknown[0], known, n=1, cutoff=0.0)
        raise ConfigError(
            f"--classes {options.classes} has {len(unknown)} names that are no classes of "
            f"{dataset.name}: the nearest to {unknown[0]!r} is {nearest!r}"
        )
    per_class, total = options.per_class, options.num_videos
    if per_class is not None and total is not None and per_class * len(classes) != total:
        raise ConfigError(
            f"--per_class {per_class} of {len(classes)} classes is {per_class * len(classes)} "
            f"videos, which contradicts --num_videos {total}: give one of them"
        )
    return classes


def _write(options: SubsetOptions, dataset: Dataset, draw: Draw) -> Copies:
    """The subset, after copying it where asked to, and writing what belongs to the manifest."""
    output = options.manifest
    copier = _copier(options, dataset)
    _refuse_other_draw(options, draw, copier)
    if copier is None:
        chosen = draw(())
        paths = {r.video_id: dataset.folder / r.path for r in chosen if r.path is not None}
        copies = Copies(chosen, paths)
    else:
        copies = copy_subset(draw, copier)
        rows = [(copies.paths[r.video_id].name, r.video_id, r.label or "") for r in copies.chosen]
        names = format_csv(("file", "source_id", "label"), rows)
        _write_text(_beside(output, "key"), names, options.overwrite)
    _write_skips(_beside(output, "skipped"), copies, options.overwrite)
    text = manifest(copies.chosen, copies.paths, output.parent)
    _write_text(output, text, options.overwrite)
    return copies


def _copier(options: SubsetOptions, dataset: Dataset) -> Copier | None:
    if options.copy_dir is None:
        return None
    # Another size gets other names, so that a copy is never taken for one of another size.
    key = f"{dataset.name}/{dataset.split}/{options.seed}/{options.min_size}"
    return Copier(dataset.folder, options.copy_dir, key, options.min_size)


def _write_skips(path: Path, copies: Copies, overwrite: bool) -> None:
    rows = [(name, skip.reason, skip.detail) for name, skip in copies.skips.items()]
    if rows:
        _write_text(path, format_csv(("source_id", "reason", "detail"), rows), overwrite)
    elif overwrite:
        path.unlink(missing_ok=True)  # it would tell of another subset


def _refuse_other_draw(options: SubsetOptions, draw: Draw, copier: Copier | None) -> None:
    """Refuses before any copy is made where the manifest that is there lists other files."""
    if options.manifest.exists() and not options.overwrite:
        skipped = _read_column(_beside(options.manifest, "skipped"), "source_id") if copier else []
        names = [copier.name(r) if copier else Path(str(r.path)).stem for r in draw(skipped)]
        if [Path(path).stem for path in _read_column(options.manifest, "path")] != names:
            raise ConfigError(_other_content(options.manifest))


def _read_column(path: Path, name: str) -> list[str]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [unescape_cell(row.get(name) or "") for row in csv.DictReader(file)]


def _write_text(path: Path, text: str, overwrite: bool) -> None:
    if path.exists():
        if path.read_bytes() == text.encode():
            return
        if not overwrite:
            raise ConfigError(_other_content(path))
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode())


def _other_content(path: Path) -> str:
    return f"{path} is there with other content: take another --output, or --overwrite it"


def _beside(output: Path, what: str) -> Path:
    return output.with_name(f"{output.stem}_{what}.csv")


def _print(options: SubsetOptions, counts: Sequence[ClassCount], copies: Copies) -> None:
    columns = ("class", *ClassCount._fields[1:])
    rows = [dict(zip(columns, count, strict=True)) for count in counts]
    if options.json:
        print(Table(columns, rows).render("json"))
    else:
        sums = {name: sum(getattr(count, name) for count in counts) for name in columns[1:]}
        listed = [row for row in rows if row["listed"]]
        print(Table(columns, [*listed, {"class": "total", **sums}]).shown())
    said = sys.stderr if options.json else sys.stdout
    if options.copy_dir is not None and not options.dry_run:
        print(f"copies    {copies.made} made, {copies.kept} there already", file=said)
    if not options.dry_run:
        print(f"manifest  {options.manifest}", file=said)
    for line in _warnings(options, counts, copies):
        print(line, file=sys.stderr)


def _warnings(options: SubsetOptions, counts: Sequence[ClassCount], copies: Copies) -> list[str]:
    """All by which the subset is less than was asked for, or more than the manifest lists."""
    wanted = options.per_class or max(1, (options.num_videos or 0) // len(counts))
    lines = []
    if (unlisted := sum(not count.listed for count in counts)) and not options.json:
        lines.append(f"classes without a listed video, which the table leaves out: {unlisted}")
    if copies.skips:
        where = _beside(options.manifest, "skipped")
        lines.append(f"videos that cannot be read: {len(copies.skips)}, see {where}; others of "
                     "their classes are taken where there are any")  # fmt: skip
    if short := [count for count in counts if _is_short(count, wanted, copies)]:
        lines.append(f"classes that have fewer videos than {wanted}: {_name_some(short)}")
    asked = options.num_videos or (options.per_class or 0) * len(counts)
    if len(copies.chosen) < asked:
        lines.append(f"chosen: {len(copies.chosen)} videos of {asked} asked for")
    if others := _count_others(options, copies):
        lines.append(f"files in {options.copy_dir} that are not in the manifest: {others}")
    return lines


def _name_some(short: Sequence[ClassCount]) -> str:
    """Some of the classes with their counts, first those that have videos."""
    by_count = sorted(short, key=lambda count: -count.chosen)
    names = ", ".join(f"{count.name} ({count.chosen})" for count in by_count[:_NAMED])
    more = len(short) - _NAMED
    return names + (f", and {more} others" if more > 0 else "")


def _is_short(count: ClassCount, wanted: int, copies: Copies) -> bool:
    """Whether the class has too few videos; another reason is a draw smaller than the classes."""
    unread = sum(label == count.name for label in copies.skipped_labels)
    return count.on_disk - unread < wanted


def _count_others(options: SubsetOptions, copies: Copies) -> int:
    if options.copy_dir is None or options.dry_run:
        return 0
    names = {path.name for path in copies.paths.values()}
    return sum(path.name not in names for path in options.copy_dir.iterdir())
