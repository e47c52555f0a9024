"""The options of a run in groups, each described once: for the parser, the checks and the pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vidbench.config.options import ANY_COUNT, ANY_RATE, ANY_SEED, option
from vidbench.data.clips.cache import COMPRESSIONS
from vidbench.data.datasets.base import DatasetFamily, dataset_families, find_dataset_family
from vidbench.data.loader import DEFAULT_CACHE_DIR, DEFAULT_DATA_DIR
from vidbench.models.base import ModelFamily, find_model_family, model_families
from vidbench.storage.locations import Location
from vidbench.system.pool import DEFAULT_TIMEOUT_SECONDS
from vidbench.system.runtime import PRECISIONS

DEFAULT_TOP_N = 5
"""Default k of the second accuracy, if there are so many classes."""

_MODELS, _DATASETS = ", ".join(model_families()), ", ".join(dataset_families())


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which model, and how it runs."""

    model_type: str = option(
        "i3d",
        f"family of the model: {_MODELS}; or a module of yours, e.g. mypackage.mymodel",
        "NAME",
    )
    model_trained_on: str | None = option(
        None, "variant of the model (default: kinetics-400 for i3d)", "NAME"
    )
    model_path: str | None = option(
        None, "weights: a folder, a file, an archive, or a name on a hub", "PATH"
    )
    classes_file: Path | None = option(
        None,
        "class names, one a line: the model's, or those that numbers in a list mean",
        "FILE",
        names="class_list",
    )
    prompts: Path | None = option(
        None,
        "classes and prompts of a zero-shot model: a file, or the name of a class list",
        "FILE",
        names="class_list",
        page="zero_shot",
    )
    precision: str = option(
        "fp32",
        "fp32, exact; or bf16, faster on processors that have it, but scores shift slightly",
        "NAME",
        choices=PRECISIONS,
    )
    device: str = option("auto", "auto (a GPU if there is one), cpu, cuda, cuda:1 or mps", "NAME")
    no_cuda: bool = option(False, "the same as --device cpu")
    num_threads: int | None = option(
        None, "processor threads of the model (default: one a core)", "N", limits=(1, 10_000)
    )

    @property
    def model_name(self) -> str:
        """``family`` or ``family/variant``."""
        return "/".join(filter(None, (self.model_type, self.model_trained_on)))

    @property
    def model_family(self) -> ModelFamily:
        """Description of the model's family; imports it if it is a module of yours.

        Raises:
            ConfigError: There is no such family.
        """
        return find_model_family(self.model_type)

    @property
    def processor(self) -> str:
        """Device of the model: ``auto``, ``cpu``, or a GPU as in ``device``."""
        return "cpu" if self.no_cuda else self.device


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """Which videos, of which classes."""

    dataset: str = option(
        "kinetics",
        f"source of the videos: {_DATASETS}; or a module of yours",
        "NAME",
        page="datasets",
    )
    kinetics_version: str | None = option(
        None, "400 (the default), 600, or 700, which is 700-2020", "N"
    )
    split: str | None = option(
        None,
        "train, val, test or all (default: the dataset's usual one)",
        "NAME",
        former="kinetics_split",
    )
    dataset_path: str | None = option(
        None,
        "where the dataset lies: a mirror, an archive, a folder, or a list of videos",
        "PATH",
        former="kinetics_root_url",
    )
    videos_path: Path | None = option(
        None, "base folder of relative paths in a list of videos", "DIR", names="local_folder"
    )
    annotations: str | None = option(
        None,
        "official list of the split; of Kinetics also its address (default: found or fetched)",
        "FILE",
    )
    frames_fps: float | None = option(
        None, "frames per second of videos that are folders of frames", "RATE", limits=ANY_RATE
    )
    class_aliases: Path | None = option(
        None, "table of labels and the model's names for these classes", "FILE", names="file"
    )
    training_list: Path | None = option(
        None,
        "annotations of the videos that the model was trained on, to warn of overlap",
        "FILE",
        names="file",
        page="numbers",
    )
    num_videos: int | None = option(
        None, "number of videos (default: the whole split)", "N", limits=(1, 100_000_000)
    )
    classes: str | None = option(
        None, "evaluate these classes only: a file of names, or the name of a class list", "NAME"
    )
    restrict_choices: bool = option(False, "let the model choose among --classes only")
    seed: int | None = option(
        None, "draw the videos at random, the same on every machine", "N", limits=ANY_SEED
    )
    num_tarballs: int | None = option(
        None, "take videos from the first N tarballs only", "N", limits=(1, 1_000_000)
    )
    data_dir: Location = option(
        DEFAULT_DATA_DIR,
        "folder of fetched videos; on a cluster also a URL such as s3://bucket/folder",
        "DIR",
        names="shared_folder",
        page="shared_storage",
    )

    @property
    def dataset_name(self) -> str:
        """``family`` or ``family/variant``."""
        return "/".join(filter(None, (self.dataset, self.kinetics_version)))

    @property
    def dataset_family(self) -> DatasetFamily:
        """Description of the dataset's family; imports it if it is a module of yours.

        Raises:
            ConfigError: There is no such family.
        """
        return find_dataset_family(self.dataset)


@dataclass(frozen=True, kw_only=True)
class DecodingOptions:
    """How videos become clips, and what is kept of them."""

    cache_dir: Location = option(
        DEFAULT_CACHE_DIR,
        "folder of decoded clips and prepared models; on a cluster also a URL",
        "DIR",
        names="shared_folder",
    )
    cache_compression: str = option(
        "none",
        "none, or zstd: at most half the disk space for decoded clips, lossless",
        "NAME",
        choices=COMPRESSIONS,
    )
    overwrite_cache: bool = option(False, "decode again the clips that this run reads")
    truncated: str = option(
        "skip",
        "truncated videos: skip, or score what can be decoded",
        "NAME",
        choices=("skip", "score"),
        page="reliability",
    )
    decode_timeout: float = option(
        DEFAULT_TIMEOUT_SECONDS,
        "seconds for one video, which is then skipped",
        "S",
        limits=(0.001, 1_000_000),
    )
    num_workers: int | None = option(
        None, "decoding processes (default: one a core; 0: none)", "N", limits=(0, 1_000)
    )

    @property
    def compression(self) -> str | None:
        """Compression of decoded clips: ``zstd`` or None."""
        return None if self.cache_compression == "none" else self.cache_compression


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """How the work is done."""

    batch_size: int | None = option(
        None, "videos in a batch (default: 64 MiB of clips, at most 16)", "N", limits=ANY_COUNT
    )
    ray_address: str | None = option(
        None,
        "run on a Ray cluster: HOST:PORT, auto, or local for this machine",
        "ADDRESS",
        page="cluster",
    )
    num_models: int | None = option(
        None,
        "models that run at once (default: one a GPU, or one for 4 cores)",
        "N",
        limits=ANY_COUNT,
    )
    retry_skipped: bool = option(False, "try skipped videos again")
    profile: bool = option(False, "print the time of each stage and what the run waited for")


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """What is written and printed."""

    top_n: int | None = option(
        None,
        "k of the second accuracy (default 5, or all classes if there are fewer)",
        "N",
        limits=ANY_COUNT,
    )
    results_dir: Location = option(
        Path("results"),
        "folder of run folders; on a cluster also a URL",
        "DIR",
        names="shared_folder",
    )
    run_name: str | None = option(
        None,
        "name of the run's folder (default: model, dataset and a digest of the settings)",
        "NAME",
        names="plain",
    )
    overwrite_output_dir: bool = option(False, "remove this run's folder and start over")
    no_report: bool = option(False, "write no report.html")
    mlflow: bool = option(
        False, "log the run to the MLflow server that MLFLOW_TRACKING_URI names", page="mlflow"
    )
    json: bool = option(False, "print all metrics as JSON")
    verbose_logging: bool = option(False, "log everything, TensorFlow's own messages too")

    def choose_top_n(self, classes: Sequence[str]) -> int:
        """The k of the second accuracy: the option, or 5, or the number of classes if fewer.

        Args:
            classes: Classes that the model may choose from.
        """
        return min(DEFAULT_TOP_N, len(classes)) if self.top_n is None else self.top_n
