"""The options of `vidbench subset`, and what is refused of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vidbench.cli.arguments import OneLineParser, add_options, plain_parser
from vidbench.config.option_groups import VideoOptions
from vidbench.config.options import ANY_COUNT, ANY_PIXELS, ANY_SEED, check_options, option
from vidbench.errors import ConfigError
from vidbench.system.validation import require_folder, require_target

_SPLIT = (
    "dataset",
    "kinetics_version",
    "split",
    "dataset_path",
    "videos_path",
    "annotations",
    "frames_fps",
    "num_tarballs",
    "data_dir",
)


@dataclass(frozen=True, kw_only=True)
class SubsetOptions:
    """How many videos are drawn of which classes, and what becomes of them."""

    classes: str | None = option(
        None, "file of class names, one a line, or the name of a class list", "LIST"
    )
    per_class: int | None = option(None, "videos of each class", "N", limits=ANY_COUNT)
    num_videos: int | None = option(
        None, "videos in all, evenly over the classes", "N", limits=(1, 100_000_000)
    )
    seed: int = option(0, "another seed draws other videos", "N", limits=ANY_SEED)
    output: Path | None = option(None, "the manifest, CSV", "FILE")
    copy_dir: Path | None = option(
        None,
        "copy the videos there, with names that tell nothing; the key to them goes beside the "
        "manifest",
        "DIR",
    )
    min_size: int | None = option(
        None, "enlarge copies whose shorter side is below this", "PX", limits=ANY_PIXELS
    )
    overwrite: bool = option(False, "overwrite another manifest")
    dry_run: bool = option(False, "fetch and count only; write no manifest and no copies")
    json: bool = option(False, "print the counts as JSON")

    @property
    def manifest(self) -> Path:
        """The manifest; the current folder where a dry run has none."""
        return self.output or Path()


def build_parser() -> OneLineParser:
    """The parser, for :func:`~vidbench.cli.arguments.parse_options`."""
    parser = plain_parser(
        "vidbench subset",
        "Draw a small subset of a split, evenly over its classes and equally on every machine, "
        "and list it in a manifest.",
    )
    add_options(parser.add_argument_group("split"), VideoOptions, _SPLIT)
    add_options(parser.add_argument_group("subset"), SubsetOptions)
    return parser


def refuse_contradictions(options: SubsetOptions) -> None:
    """Raise ConfigError unless the options fit one another, and the files can be written."""
    check_options(options)
    if options.per_class is None and options.num_videos is None:
        raise ConfigError("how many videos? Give --per_class or --num_videos")
    if options.output is None and not options.dry_run:
        raise ConfigError("where to? Give --output FILE, or --dry_run to count only")
    if options.min_size is not None and options.copy_dir is None:
        raise ConfigError("--min_size changes copies: give --copy_dir too")
    if options.output is not None:
        require_target("output", options.output)
    if options.copy_dir is not None:
        require_folder("copy_dir", options.copy_dir)
    if options.copy_dir is not None and options.output is not None:
        folder = options.output.parent.resolve()
        if folder.is_relative_to(options.copy_dir.resolve()):
            raise ConfigError(
                "--output must not lie in --copy_dir: whoever gets the copies would get the labels"
            )
