"""Requests that are wrong, by all that describes options: one line, and nothing is done."""

from __future__ import annotations

import io
import math
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers.http_server import FileServer
from vidbench.cli.arguments import parse_config
from vidbench.config.options import Option, options_of
from vidbench.config.run_config import RunConfig
from vidbench.data.datasets.base import load_dataset
from vidbench.errors import ConfigError

OPTIONS = options_of(RunConfig)
NO_NAMES = ("", " ", "\x1b[2J", "two\nlines", "\udcff", "a\0b")
NO_FILES = ("missing.txt", "folder", "x" * 300, "archive.tar.gz/x")
NO_FOLDERS = (
    *("file", "file/below", "archive.tar.gz/cache", "dangling", "x" * 300),
    "s3://bucket/folder",  # without --ray_address
)
NO_PLAIN_NAMES = (".", "..", "a/b", "/a", "x" * 300)

SPECIAL: dict[str, tuple[str, ...]] = {  # what its description alone does not say
    "annotations": (
        *("missing.txt", "binary", "empty", "latin", "csv_without_ids", "row_without_id"),
        *("of_train", "http://"),
    ),
    "class_aliases": ("binary", "empty", "names", "two_to_one", "of_numbers"),
    "classes": ("missing.txt", "folder", "kinetics-500", "unknown_class", "twice", "latin"),
    "classes_file": ("twice", "binary", "empty"),
    "dataset": ("nonsense", "../x", "base", "_shelf", "kinetics/401", "kinetics/", "sample/x"),
    "dataset_path": (
        *("missing", "file", "ftp://x/", "http://", "https:///x", "http://[::1/"),
        *("http://h:99999/", "http://h:x/", "file:///etc"),
    ),
    "device": ("nonsense", "gpu", "cuda:", "cuda:x", "cpu:1"),
    "kinetics_version": ("nonsense", "500", "-400", "400.0"),
    "model_path": ("missing", "file", "folder", "http://", "http://[::1/", "x" * 300, "ftp://x/m"),
    "model_trained_on": ("nonsense", "kinetics-500"),
    "model_type": ("nonsense", "../x", "base", "_weights", "i3d/kinetics-9", "saved_model"),
    "num_clips": ("2",),
    "num_crops": ("2",),
    "num_models": ("2",),
    "preset": ("nonsense", "i3d/nonsense", "saved_model/x", "/", "_weights/x"),
    "prompts": ("binary", "empty"),
    "sampling_seed": ("1",),
    "short_side": ("256",),
    "split": ("nonsense", "validate"),
    "top_n": ("401",),
    "training_list": ("empty", "csv_without_ids", "row_without_id"),
    "videos_path": ("folder",),  # of a manifest alone
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


def wrong_values(described: Option) -> st.SearchStrategy[str]:
    """Values that the description of an option excludes."""
    if described.kind is bool:
        return st.sampled_from(["1", ""])
    if described.limits is not None:
        low, high = described.limits
        beyond = st.integers(max_value=math.ceil(low) - 1) | st.integers(min_value=int(high) + 1)
        others = ["nan", "inf", "-inf", "9" * 5000, "many", ""]
        return beyond.map(str) | st.sampled_from(others + ["1.5", "1e3"] * (described.kind is int))
    if described.choices:
        return st.text().filter(lambda text: text not in described.choices)
    more = {"file": NO_FILES, "class_list": NO_FILES, "folder": ("missing", "file")}
    more |= {"shared_folder": NO_FOLDERS, "plain": NO_PLAIN_NAMES}
    return st.sampled_from([*NO_NAMES, *more.get(described.names, ())])


@pytest.mark.parametrize("option", sorted(OPTIONS))
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_no_description_allows_is_refused_before_anything_is_done(
    option: str, data: st.DataObject, workplace: Path
) -> None:
    before = listing(workplace)
    refuse(f"--{option}={data.draw(wrong_values(OPTIONS[option]))}")
    assert listing(workplace) == before


@pytest.mark.parametrize("option", sorted(SPECIAL))
def test_what_files_and_families_exclude_is_refused_before_anything_is_done(
    option: str, workplace: Path
) -> None:
    before = listing(workplace)
    for value in SPECIAL[option]:
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
        "--training_list=names",  # the content of a file
        "--fps=nan",  # no number
        "@binary",  # no file of options
        *(
            pytest.param(wrong, marks=pytest.mark.slow)
            for wrong in (
                "--num_clips=10",  # a contradiction
                "--top_n=401",  # more than the model has
                "--cache_dir=archive.tar.gz/cache",  # no folder
                "--model_trained_on=kinetics-500",  # an unknown name
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
