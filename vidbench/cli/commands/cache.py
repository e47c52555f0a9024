"""Shows what is cached, or removes some of it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from typing import Any

from vidbench.cli.arguments import OneLineParser, local_path
from vidbench.system.validation import require_folder


def run(arguments: Sequence[str]) -> None:
    """Shows what the cache holds of each spec and of models, or removes some of it."""
    from vidbench.data.clips.cache import ClipCache
    from vidbench.data.clips.features import FEATURE_FOLDER, feature_usage, prune_features
    from vidbench.data.loader import DEFAULT_CACHE_DIR
    from vidbench.models._tensorflow.kept_graphs import KeptGraphs
    from vidbench.models.base import GRAPH_FOLDER

    parser = OneLineParser(
        prog="vidbench cache",
        description="Show the clips, models and features kept on disk, or remove some.",
    )
    parser.add_argument("--cache_dir", type=local_path, default=DEFAULT_CACHE_DIR, metavar="DIR")
    parser.add_argument(
        "--prune",
        nargs="?",
        const="",
        metavar="NAME",
        help="remove the spec NAME, `graphs`, `features` or `all`; without NAME what other "
        "versions left",
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    options = parser.parse_args(arguments)
    require_folder("cache_dir", options.cache_dir, written=False)
    cache = ClipCache(options.cache_dir)
    graphs = KeptGraphs(options.cache_dir / GRAPH_FOLDER)
    if options.prune is None:
        clips, kept = cache.usage(), graphs.usage()
        features, verb = feature_usage(options.cache_dir), f"{options.cache_dir} holds"
    else:
        name = options.prune or None
        clips = [] if name in (GRAPH_FOLDER, FEATURE_FOLDER) else cache.prune(name)
        kept, features = graphs.prune(name), prune_features(options.cache_dir, name)
        verb = "removed"
    if options.json:
        found = {"clips": [entry._asdict() for entry in clips], "graphs": kept._asdict()}
        print(json.dumps(found | {"features": features._asdict()}, indent=2))
    else:
        _print_usage(clips, kept, features, verb)


def _print_usage(clips: Sequence[Any], graphs: Any, features: Any, verb: str) -> None:
    for entry in clips:
        size = f"{entry.num_bytes / 1e6:.1f} MB"
        print(f"{entry.name}  {entry.videos:>6} videos  {entry.skipped:>4} skipped  {size:>10}")
        print(textwrap.fill(entry.spec, 80, initial_indent="  ", subsequent_indent="  "))
    if graphs.models:
        size = f"{graphs.num_bytes / 1e6:.1f} MB"
        print(f"{'graphs':<20}  {graphs.models:>6} {_models(graphs.models):<6}  {size:>24}")
        print("  models prepared for TensorFlow, which start faster")
    if features.num_bytes:
        size = f"{features.num_bytes / 1e6:.1f} MB"
        print(f"{'features':<20}  {features.videos:>6} videos  {size:>24}")
        print("  features of clips for zero-shot models; other prompts need no clips")
    counts = f"{sum(entry.videos for entry in clips)} videos"
    if graphs.models:
        counts += f", {graphs.models} {_models(graphs.models)}"
    if features.num_bytes:
        counts += f", features of {features.videos}"
    total = sum(entry.num_bytes for entry in [*clips, graphs, features])
    print(f"{verb} {counts}, {total / 1e6:.1f} MB")


def _models(count: int) -> str:
    return "model" if count == 1 else "models"
