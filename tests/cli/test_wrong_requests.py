"""Every option of `vidbench evaluate` with all kinds of wrong values: one line, nothing done."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import pytest

from tests.helpers.http_server import FileServer
from vidbench.cli.arguments import build_parser, parse_config
from vidbench.data.datasets.base import load_dataset
from vidbench.errors import ConfigError

COUNTS = ("-1", "0", "1.5", "nan", "inf", "1e3", "9" * 12, "9" * 5000, "many", "")
RATES = ("-1", "0", "nan", "inf", "-inf", "1e300", "many", "")
SEEDS = ("-1", "0.5", "nan", "inf", "9" * 30, "9" * 5000, "x", "")
NAMES = ("nonsense", "", " ", "\x1b[2J", "two\nlines", "../x", "\udcff")
FILES = ("missing.txt", "folder", "", "binary", "empty", "latin", "x" * 300, "zip.tar.gz/x", "\0")
FOLDERS = (
    "file",
    "file/below",
    "archive.tar.gz/cache",
    "dangling",
    "",
    "x" * 300,
    "a\0b",
    "\udcff",
    "s3://bucket/folder",  # without --ray_address
)
FLAG = ("1", "")

WRONG: dict[str, tuple[str, ...]] = {
    "annotations": (*FILES, "csv_without_ids", "row_without_id", "of_train", "http://", "\x1b"),
    "batch_size": COUNTS,
    "cache_compression": (*NAMES, "gzip"),
    "cache_dir": FOLDERS,
    "classes": (*FILES, "kinetics-500", "unknown_class", "twice"),
    "class_aliases": (*FILES, "names", "two_to_one", "of_numbers"),
    "classes_file": (*FILES, "twice"),
    "crop_size": COUNTS,
    "data_dir": FOLDERS,
    "dataset": (*NAMES, "base", "_shelf", "kinetics/401", "kinetics/", "sample/x"),
    "decode_timeout": RATES,
    "fps": RATES,
    "frames_fps": RATES,
    "frame_stride": COUNTS,
    "json": FLAG,
    "dataset_path": (
        *("missing", "file", "", "ftp://x/", "http://", "https:///x", "http://[::1/"),
        *("http://h:99999/", "http://h:x/", "file:///etc", "\x1b"),
    ),
    "split": (*NAMES, "validate"),
    "device": (*NAMES, "gpu", "cuda:", "cuda:x", "cpu:1"),
    "prompts": FILES,
    "kinetics_version": (*NAMES, "500", "-400", "400.0"),
    "model_path": (
        *("missing", "", "file", "folder", "http://", "http://[::1/", "x" * 300, "a\0b"),
        "ftp://x/model",
    ),
    "model_trained_on": (*NAMES, "kinetics-500"),
    "model_type": (*NAMES, "base", "_weights", "i3d/kinetics-9", "saved_model"),
    "no_cuda": FLAG,
    "num_clips": (*COUNTS, "2"),
    "num_crops": (*COUNTS, "2"),
    "num_frames": COUNTS,
    "num_models": (*COUNTS, "2"),
    "num_tarballs": COUNTS,
    "num_threads": COUNTS,
    "num_videos": COUNTS,
    "num_workers": tuple(value for value in COUNTS if value != "0"),
    "overwrite_cache": FLAG,
    "overwrite_output_dir": FLAG,
    "precision": (*NAMES, "fp16"),
    "preset": (*NAMES, "i3d/nonsense", "saved_model/x", "/", "_weights/x"),
    "profile": FLAG,
    "ray_address": ("", "a\0b"),
    "resize_filter": (*NAMES, "linear"),
    "resize_type": (*NAMES, "stretch"),
    "restrict_choices": FLAG,
    "results_dir": FOLDERS,
    "retry_skipped": FLAG,
    "run_name": ("", ".", "..", "a/b", "/a", "x" * 300, "a\0b", "\x1b[2J", "a\nb", "\udcff"),
    "sampling": (*NAMES, "dense"),
    "sampling_seed": (*SEEDS, "1"),
    "seed": SEEDS,
    "short_side": (*COUNTS, "256"),
    "side_rounding": (*NAMES, "up", "down"),
    "too_short": (*NAMES, "drop", "stretched"),
    "top_n": (*COUNTS, "401"),
    "training_list": (*FILES, "csv_without_ids", "row_without_id"),
    "truncated": (*NAMES, "keep"),
    "verbose_logging": FLAG,
    "videos_path": ("missing", "file", "", "a\0b", "folder"),  # of a manifest alone
    "mlflow": FLAG,
    "no_report": FLAG,
}
CONTRADICTIONS = (
    "--classes example-60 --restrict_choices --top_n 61",
    "--dataset sample --kinetics_split train",
    "--dataset sample --kinetics_version 400",
    "--dataset sample --classes example-60",
    "--kinetics_version 600 --classes k400_only",
    "--model_trained_on kinetics-600 --top_n 601",
    "--classes_file names",
    "--model_type saved_model",
    "--num_clips 10",
    "--num_clips 10 --sampling uniform",
    "--num_clips 10 --sampling center",
    "--fps 25",
    "--short_side 200 --resize_type short_side",
    "--num_crops 3 --resize_type pad",
    "--side_rounding down --resize_type squash",
    "--too_short stretch --sampling center",
    "--preset paper --crop_size 112",
    "--preset hub --fps 25",
    "--restrict_choices",
    "--batch_size 99999",
    "--results_dir folder --run_name inside",
    "--ray_address local --data_dir nonsense://x",
    "--ray_address local --results_dir s3://",
    "--ray_address local --cache_dir simplecache::memory://x",
    "--ray_address local --dataset_path memory://x/kinetics",
    "--ray_address local --dataset sample --dataset_path memory://x/kinetics",
    "--ray_address local --dataset ucf101/1 --dataset_path memory://x/videos",
    "--ray_address local --dataset ucf101/1 --data_dir memory://x/data",
    "--dataset flat --dataset_path memory://x/videos",
)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with files and folders that are not what options want."""
    folder = tmp_path / "workplace"
    (folder / "folder").mkdir(parents=True)
    texts = {
        "folder/inside": "a file",
        "file": "no archive",
        "empty": "",
        "names": "a\nb\n",
        "twice": "yoga\nyoga\n",
        "unknown_class": "yoga\njoga\n",
        "k400_only": "drinking beer\n",
        "csv_without_ids": "label,time_start\nyoga,1\n",
        "row_without_id": "label,youtube_id\nyoga,\n",
        "two_to_one": "a,yoga\nb,yoga\n",
        "of_numbers": '{"a": 1}',
        "of_train": "label,youtube_id,time_start,time_end,split\nyoga,abcdefghijk,1,11,train\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "binary").write_bytes(bytes(range(256)))
    (folder / "latin").write_bytes("clich\xe9\n".encode("latin-1"))
    (folder / "dangling").symlink_to("nowhere")
    with tarfile.open(folder / "archive.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("x"), io.BytesIO())
    monkeypatch.chdir(folder)
    return folder


def listing(folder: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.lstat().st_mtime_ns) for path in folder.rglob("*"))


def refuse(*arguments: str) -> str:
    """The refusal, of one line that a person can read."""
    with pytest.raises(ConfigError) as caught:
        parse_config(arguments, {})
    message = str(caught.value)
    assert message.isprintable(), message
    assert 10 < len(message) < 7000
    return message


def test_every_option_has_wrong_values() -> None:
    options = {action.dest for action in build_parser()._actions} - {"help"}
    assert options == WRONG.keys()


@pytest.mark.parametrize("option", sorted(WRONG))
def test_a_wrong_value_is_refused_before_anything_is_done(option: str, workplace: Path) -> None:
    before = listing(workplace)
    for value in WRONG[option]:
        refuse(f"--{option}={value}")
    assert listing(workplace) == before


@pytest.mark.parametrize("arguments", CONTRADICTIONS)
def test_a_contradiction_is_refused_before_anything_is_done(
    arguments: str, workplace: Path
) -> None:
    before = listing(workplace)
    refuse(*arguments.split())
    assert listing(workplace) == before


@pytest.mark.parametrize("option", ["cache_dir", "results_dir", "data_dir"])
def test_a_folder_in_which_nothing_may_be_written_is_refused(option: str) -> None:
    script = (
        "import os, sys\n"
        "from vidbench.cli.arguments import parse_config\n"
        "from vidbench.cli.commands import evaluate\n"
        "import vidbench.models.i3d, vidbench.data.datasets.kinetics\n"
        "if os.getuid() == 0:\n"
        "    os.setuid(65534)\n"  # root may write anywhere
        "try:\n"
        "    parse_config(sys.argv[1:], {})\n"
        "except Exception as error:\n"
        "    print(error)\n"
    )
    with TemporaryDirectory() as locked:  # unlike pytest's, below no folder of root's alone
        Path(locked).chmod(0o555)
        options = dict.fromkeys(["cache_dir", "results_dir", "data_dir"], gettempdir())
        options[option] = f"{locked}/new"
        arguments = [f"--{name}={value}" for name, value in options.items()]
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
        )
    assert done.stdout.startswith(f"--{option} ")
    assert f"'{locked}' is not writable" in done.stdout


@pytest.mark.parametrize(
    "wrong",
    [
        "--training_list=names",
        "--fps=nan",
        "@folder",
        *(
            pytest.param(wrong, marks=pytest.mark.slow)
            for wrong in (
                "--classes=unknown_class",
                "--num_clips=10",
                "--top_n=401",
                "--cache_dir=archive.tar.gz/cache",
                "--run_name=",
                "--preset=../x",
                "--model_trained_on=kinetics-500",
                "--kinetics_split=validate",
                "@binary",
            )
        ),
    ],
)
def test_the_command_asks_no_server_and_imports_no_framework(
    wrong: str, workplace: Path, file_server: FileServer
) -> None:
    before = listing(workplace)
    # Whatever goes to the network goes to the server that counts.
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY"), file_server.url)
    done = subprocess.run(
        [
            *(sys.executable, "-X", "importtime", "-m", "vidbench", "evaluate"),
            *("--kinetics_root_url", file_server.url, wrong),
        ],
        env={**os.environ, **proxies},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stderr.splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import ")}
    said = [line for line in lines if not line.startswith("import ")]
    assert (done.returncode, len(said), done.stdout) == (2, 1, "")
    assert said[0].startswith("vidbench: ")
    assert not imported & {"tensorflow", "tensorflow_hub", "kagglehub", "av", "cv2"}
    assert file_server.requests == []
    assert listing(workplace) == before


def test_classes_of_a_split_without_labels_are_refused_before_any_tarball(
    file_server: FileServer, tmp_path: Path
) -> None:
    folder = file_server.root / "400"
    (folder / "test").mkdir(parents=True)
    (folder / "annotations").mkdir()
    header = "youtube_id,time_start,time_end,split\n"
    (folder / "annotations/test.csv").write_text(f"{header}--6bJUbfpnQ,17,27,test\n")
    (folder / "test/k400_test_path.txt").write_text("400/test/part_0.tar.gz\n")
    dataset = load_dataset("kinetics/400", "test", data_dir=tmp_path, root_url=file_server.url)
    with pytest.raises(ConfigError, match="no labels to choose classes by"):
        dataset.fetch(classes=["yoga"])
    assert file_server.fetched("/400/annotations/test.csv")
    assert not [request for request in file_server.requests if ".tar" in request]


# Other commands ---------------------------------------------------------------------------------

OTHERS: dict[str, tuple[str, ...]] = {
    "subset": (
        "--per_class 0 --output m.csv",
        "--per_class -1 --output m.csv",
        "--per_class x --output m.csv",
        "--num_videos 0 --output m.csv",
        "--num_videos nan --output m.csv",
        "--num_videos 1",
        "--num_videos 1 --output m.csv --min_size 10",
        "--num_videos 1 --output m.csv --dataset nonsense",
        "--num_videos 1 --output m.csv --kinetics_split nonsense",
        "--num_videos 1 --output m.csv --kinetics_root_url missing",
        "--num_videos 1 --output m.csv --classes missing",
        "--num_videos 1 --output m.csv --seed -1",
        "--output m.csv",
        "--num_videos 1 --output folder",
        "--num_videos 1 --output file/m.csv",
        "--num_videos 1 --output m.csv --copy_dir file",
        "--num_videos 1 --output m.csv --data_dir file",
        "--num_videos 1 --output m.csv --copy_dir c --min_size 99999999",
        f"--num_videos 1 --output {'x' * 300}",
    ),
    "compare": (
        "a b --csv folder",
        "a b --csv file/x",
        "missing",
        "missing missing2",
        "folder",
        "file empty",
        "--k 0",
        "a b --k x",
    ),
    "fuse": (
        "a b",
        "missing missing2 --results_dir r",
        "file empty --results_dir r",
        "a b --results_dir r --run_name ../x",
        "a b --results_dir r --weights x",
    ),
    "leaderboard": ("missing", "file", "folder", "folder --format xml"),
    "report": ("missing", "file", "folder", "folder --top_n x"),
    "verify": ("nonsense", "saved_model", "i3d/nonsense"),
    "cache": ("--prune nonsense", "--nonsense"),
}


@pytest.mark.parametrize("command", sorted(OTHERS))
def test_other_commands_refuse_in_one_line_too(
    command: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from vidbench.cli.main import main

    before = listing(workplace)
    for arguments in OTHERS[command]:
        assert main([command, *arguments.split()]) == 2, arguments
        out, err = capsys.readouterr()
        assert (out, len(err.splitlines())) == ("", 1), (arguments, err)
    assert listing(workplace) == before
