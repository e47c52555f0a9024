from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.helpers.command import RunCli
from tests.helpers.paths import REPOSITORY, SAMPLE
from vidbench.cli.arguments import build_parser, parse_config
from vidbench.cli.main import _COMMANDS, main
from vidbench.config.options import options_of
from vidbench.config.run_config import RunConfig
from vidbench.data.spec import PRESETS, PreprocessSpec
from vidbench.errors import ConfigError

FLAGS = {name for name, described in options_of(RunConfig).items() if described.kind is bool}
FLAGS -= {"restrict_choices"}  # which needs another
VALUES: dict[str, tuple[str, Any]] = {
    "annotations": ("https://mirror.example/val.csv", "https://mirror.example/val.csv"),
    "classes": ("example-60", "example-60"),
    "crop_size": ("112", 112),
    "fps": ("12.5", 12.5),
    "frame_stride": ("2", 2),
    "num_clips": ("10", 10),
    "num_crops": ("3", 3),
    "sampling": ("dense", "dense"),
    "sampling_seed": ("7", 7),
    "short_side": ("320", 320),
    "too_short": ("repeat_last", "repeat_last"),
    "truncated": ("score", "score"),
    "batch_size": ("3", 3),
    "cache_compression": ("zstd", "zstd"),
    "cache_dir": ("a/b", Path("a/b")),
    "data_dir": ("a/b", Path("a/b")),
    "decode_timeout": ("0.5", 0.5),
    "dataset": ("sample", "sample"),
    "dataset_path": ("https://mirror.example/", "https://mirror.example/"),
    "split": ("test", "test"),
    "device": ("cuda:1", "cuda:1"),
    "kinetics_version": ("600", "600"),
    "model_path": (str(SAMPLE / "model"), str(SAMPLE / "model")),
    "model_trained_on": ("kinetics-600", "kinetics-600"),
    "model_type": ("saved_model", "saved_model"),
    "num_frames": ("64", 64),
    "num_models": ("2", 2),
    "num_tarballs": ("2", 2),
    "frames_fps": ("12", 12.0),
    "num_threads": ("2", 2),
    "num_videos": ("16", 16),
    "num_workers": ("0", 0),
    "precision": ("bf16", "bf16"),
    "preset": ("paper", "paper"),
    "ray_address": ("local", "local"),
    "resize_filter": ("area", "area"),
    "resize_type": ("pad", "pad"),
    "results_dir": ("a/b", Path("a/b")),
    "run_name": ("a run", "a run"),
    "seed": ("0", 0),
    "side_rounding": ("down", "down"),
    "top_n": ("1", 1),
}
COMPANIONS: dict[str, dict[str, str | int]] = {  # without which an option contradicts the others
    "fps": {"sampling": "center"},
    "frame_stride": {"sampling": "center"},
    "num_clips": {"sampling": "dense"},
    "num_crops": {"resize_type": "short_side"},
    "num_models": {"ray_address": "local"},
    "sampling": {"num_clips": 2},
    "sampling_seed": {"sampling": "random"},
    "short_side": {"resize_type": "short_side"},
    "side_rounding": {"resize_type": "short_side"},
    "model_type": {"model_path": str(SAMPLE / "model")},
    "model_path": {"model_type": "saved_model"},
}
OPTIONS = options_of(RunConfig).keys()


def parse(*arguments: str, **environment: str) -> RunConfig:
    return parse_config(arguments, environment)


def refusal(*arguments: str, **environment: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(*arguments, **environment)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_option_is_a_field_and_every_field_an_option() -> None:
    named = {option for action in build_parser()._actions for option in action.option_strings}
    former = {"kinetics_split", "kinetics_root_url"}
    assert named == {f"--{name}" for name in OPTIONS | former} | {"-h", "--help"}
    files = {"class_aliases", "classes_file", "prompts", "training_list", "videos_path"}
    assert FLAGS | VALUES.keys() | files | {"restrict_choices"} == OPTIONS


@pytest.mark.parametrize("command", _COMMANDS)
def test_the_help_of_every_command_fits_a_terminal(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([command, "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"usage: vidbench {command} ")
    assert max(map(len, lines)) <= 80


def test_former_names_of_options_are_valid() -> None:
    options = ("--kinetics_split", "test", "--kinetics_root_url", "https://mirror.example/")
    assert parse(*options) == parse("--split", "test", "--dataset_path", "https://mirror.example/")
    config = parse_config([], {"VIDBENCH_KINETICS_SPLIT": "test", "VIDBENCH_SEED": "3"})
    assert (config.split, config.seed) == ("test", 3)
    both = {"VIDBENCH_KINETICS_SPLIT": "test", "VIDBENCH_SPLIT": "train"}
    assert parse_config([], both).split == "train"


def test_no_arguments_ask_for_i3d_on_the_validation_split_of_kinetics_400() -> None:
    config = parse()
    assert config == RunConfig()
    assert (config.model_name, config.dataset_name) == ("i3d", "kinetics")
    assert (config.split, config.batch_size, config.top_n) == (None, None, None)


@pytest.mark.parametrize("name", sorted(VALUES))
def test_a_value_follows_its_option_or_an_equals_sign_or_is_in_the_environment(name: str) -> None:
    text, value = VALUES[name]
    companions: dict[str, Any] = COMPANIONS.get(name, {})
    others = [f"--{option}={companion}" for option, companion in companions.items()]
    given_ways = [
        parse(f"--{name}", text, *others),
        parse(f"--{name}={text}", *others),
        parse(*others, **{f"VIDBENCH_{name.upper()}": text}),
    ]
    for config in given_ways:
        assert config == RunConfig(**{name: value}, **companions)
        assert config != RunConfig(**companions)


@pytest.mark.parametrize("name", sorted(FLAGS))
def test_a_flag_is_given_alone_or_is_in_the_environment(name: str) -> None:
    variable = f"VIDBENCH_{name.upper()}"
    assert getattr(parse(f"--{name}"), name) is True
    assert getattr(parse(**{variable: "1"}), name) is True
    assert getattr(parse(**{variable: "false"}), name) is False
    assert variable in refusal(**{variable: "perhaps"})
    refusal(f"--{name}=1")


def test_a_class_list_is_a_path(folder: Path) -> None:
    (folder / "names.txt").write_text("a\n")
    model = ["--model_type", "saved_model", "--model_path", str(SAMPLE / "model"), "--top_n", "1"]
    config = parse("--classes_file", "names.txt", *model)
    assert config.classes_file == Path("names.txt")


def test_a_file_holds_options_with_comments_and_quotes(folder: Path) -> None:
    (folder / "config.txt").write_text(
        "# a whole line\n"
        "--num_videos 16  # a trailing one\n"
        "\n"
        "  --batch_size=4\n"
        "--run_name 'my run # 1'\n"
        '--results_dir "some where" --top_n 3\n'
        "#--seed 5\n"
        "--no_cuda\n"
    )
    assert parse("@config.txt") == RunConfig(
        num_videos=16,
        batch_size=4,
        run_name="my run # 1",
        results_dir=Path("some where"),
        top_n=3,
        no_cuda=True,
    )


def test_a_hash_inside_a_word_is_no_comment(folder: Path) -> None:
    (folder / "config.txt").write_text("--data_dir disk#2/videos\n")
    assert parse("@config.txt").data_dir == Path("disk#2/videos")


def test_the_command_line_goes_over_the_file_and_the_file_over_the_environment(
    folder: Path,
) -> None:
    (folder / "config.txt").write_text("--batch_size 2\n--top_n 2\n")
    environment = {"VIDBENCH_BATCH_SIZE": "1", "VIDBENCH_TOP_N": "1", "VIDBENCH_SEED": "1"}
    for arguments in (
        ["@config.txt", "--batch_size", "3"],
        ["--batch_size", "3", "@config.txt"],
        ["--batch_size=3", "@config.txt"],
    ):
        config = parse(*arguments, **environment)
        assert (config.batch_size, config.top_n, config.seed) == (3, 2, 1)


def test_a_later_file_goes_over_an_earlier_one(folder: Path) -> None:
    (folder / "one.txt").write_text("--batch_size 1\n--top_n 1\n")
    (folder / "two.txt").write_text("--batch_size 2\n")
    config = parse("@one.txt", "@two.txt")
    assert (config.batch_size, config.top_n) == (2, 1)


def test_variables_that_name_no_option_are_ignored() -> None:
    assert parse(VIDBENCH_FOOTAGE="/x", BATCH_SIZE="3") == RunConfig()


def test_a_file_may_begin_with_a_mark_of_its_encoding_and_may_be_a_pipe(folder: Path) -> None:
    (folder / "config.txt").write_text("--seed 1\n", "utf-8-sig")
    assert parse("@config.txt").seed == 1
    script = (
        "from vidbench.cli.arguments import parse_config; print(parse_config(['@/dev/stdin']).seed)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input="--seed 2\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "2\n"


def test_the_real_environment_counts_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDBENCH_BATCH_SIZE", "3")
    assert parse_config([]).batch_size == 3


def test_the_shipped_file_asks_for_what_it_says() -> None:
    assert parse(f"@{REPOSITORY / 'scripts' / 'kinetics400_i3d.txt'}") == RunConfig(
        model_type="i3d",
        model_trained_on="kinetics-400",
        kinetics_version="400",
        split="val",
        num_videos=16,
        num_frames=100,
        batch_size=8,
        top_n=5,
    )


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "scripts").glob("*.txt")), ids=lambda path: str(path.name)
)
def test_every_shipped_file_is_accepted(path: Path) -> None:
    assert parse(f"@{path}") != RunConfig()


@pytest.mark.parametrize(
    ("option", "nearest"),
    [
        ("--batchsize", "--batch_size"),
        ("--batch-size", "--batch_size"),
        ("--batch", "--batch_size"),
        ("--batch_siz=4", "--batch_size"),
        ("--num_vid", "--num_videos"),
        ("--overwrite_output", "--overwrite_output_dir"),
        ("--verbose", "--verbose_logging"),
        ("--model", "--model_type"),
        ("--kinetics_root", "--kinetics_root_url"),
    ],
)
def test_an_unknown_or_abbreviated_option_is_refused_with_the_nearest(
    folder: Path, option: str, nearest: str
) -> None:
    (folder / "config.txt").write_text(f"{option} 4\n")
    for message in (refusal(option, "4"), refusal("@config.txt")):
        assert option in message
        assert message.endswith(f"'{nearest}'")


def test_a_value_without_an_option_is_refused() -> None:
    assert "'16'" in refusal("16")
    assert "'16'" in refusal("--num_videos", "8", "16")


@pytest.mark.parametrize(
    ("option", "value", "nearest"),
    [
        ("model_type", "i3", "i3d"),
        ("model_type", "savedmodel", "saved_model"),
        ("preset", "papre", "paper"),
        ("preset", "hub.", "hub"),
        ("resize_type", "centre_square", "center_square"),
        ("resize_type", "short.side", "short_side"),
        ("resize_filter", "bicubic_antialiased", "bicubic_antialias"),
        ("side_rounding", "floor", "down"),
        ("kinetics_version", "6000", "600"),
        ("kinetics_version", "700.0", "700"),
        ("cache_compression", "zst", "zstd"),
        ("cache_compression", "non", "none"),
        ("dataset", "kinetic", "kinetics"),
        ("dataset", "samples", "sample"),
    ],
)
def test_an_unknown_value_is_refused_with_the_nearest(
    option: str, value: str, nearest: str
) -> None:
    for message in (
        refusal(f"--{option}", value),
        refusal(**{f"VIDBENCH_{option.upper()}": value}),
    ):
        assert f"--{option}" in message
        assert f"'{value}'" in message
        assert message.endswith(f"'{nearest}'")


def test_clips_are_compressed_where_it_is_asked_for() -> None:
    assert parse().compression is None
    assert parse("--cache_compression", "zstd").compression == "zstd"


def test_models_and_datasets_of_others_are_named_with_a_dot() -> None:
    config = parse("--model_type", "my.models", "--dataset", "my.videos")
    assert (config.model_name, config.dataset_name) == ("my.models", "my.videos")


@pytest.mark.parametrize("option", ["model_type", "dataset"])
@pytest.mark.parametrize("value", [".", "./folder", "folder/file.py", ".relative", "a..b"])
def test_a_path_is_no_module_of_others(option: str, value: str) -> None:
    assert f"--{option}" in refusal(f"--{option}", value)


@pytest.mark.parametrize("option", ["batch_size", "num_videos", "num_frames", "num_tarballs"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "many", ""])
def test_a_count_is_one_or_more(option: str, value: str) -> None:
    assert f"--{option}" in refusal(f"--{option}={value}")


@pytest.mark.parametrize("option", ["seed", "num_workers"])
@pytest.mark.parametrize("value", ["-1", "0.0", "x"])
def test_a_seed_and_a_number_of_workers_are_zero_or_more(option: str, value: str) -> None:
    assert f"--{option}" in refusal(f"--{option}={value}")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("--preset paper --num_frames 64", "--num_frames"),
        ("--preset paper --resize_type pad", "--resize_type"),
        ("--preset hub --resize_type pad", "--resize_type"),
        ("--dataset sample --kinetics_version 400", "--kinetics_version"),
        ("--model_type saved_model --model_trained_on kinetics-400", "--model_trained_on"),
    ],
)
def test_contradictions_are_refused(arguments: str, named: str) -> None:
    message = refusal(*arguments.split())
    assert named in message
    assert "contradicts" in message


@pytest.mark.parametrize(
    "arguments",
    [
        ["@missing.txt"],
        ["@."],
        ["--classes_file", "missing.txt"],
        ["--kinetics_root_url", "missing/folder"],
        ["--kinetics_root_url", "ftp://mirror.example/"],
    ],
)
def test_what_is_not_there_is_named(folder: Path, arguments: list[str]) -> None:
    assert arguments[-1].removeprefix("@") in refusal(*arguments)


@pytest.mark.parametrize(
    "content",
    [
        b"--run_name 'open\n",
        b"\xff\xfe--seed 1\n",
        b"--seed 1\0\n",
        b"@config.txt\n",
        b"--seed 1\n" * (1 << 17),
    ],
    ids=["open quote", "UTF-16", "NUL", "itself", "a megabyte"],
)
def test_an_unreadable_file_is_named(folder: Path, content: bytes) -> None:
    (folder / "config.txt").write_bytes(content)
    assert "config.txt" in refusal("@config.txt")


@pytest.mark.parametrize("name", ["a/b", "/a", ".", "..", "../a", "a/"])
def test_a_run_name_is_one_plain_folder_name(name: str) -> None:
    assert "--run_name" in refusal(f"--run_name={name}")


def test_an_option_without_its_value_is_refused() -> None:
    assert "--batch_size" in refusal("--batch_size")
    assert "--batch_size" in refusal("--batch_size", "--top_n", "3")


@example("classes_file", "two\nlines")
@example("dataset_path", "two\nlines")
@given(st.sampled_from(sorted(OPTIONS)), st.text(st.characters(exclude_categories=["Cs"])))
def test_any_value_is_taken_or_refused_in_one_line(option: str, value: str) -> None:
    message = ""
    try:
        config = parse(f"--{option}={value}")
    except ConfigError as error:
        message = str(error)
    else:
        assert str(getattr(config, option)) in {value, str(Path(value))} or int(value) >= 0
    assert len(message.splitlines()) <= 1


def test_parsing_writes_nothing(folder: Path) -> None:
    (folder / "config.txt").write_text("--results_dir r --data_dir d --cache_dir c\n")
    parse("@config.txt", "--overwrite_output_dir", "--overwrite_cache")
    assert [path.name for path in folder.iterdir()] == ["config.txt"]


def test_parsing_opens_only_the_named_files(folder: Path) -> None:
    (folder / "config.txt").write_text("--results_dir r --data_dir d --model_path m\n")
    (folder / "m").mkdir()
    (folder / "m" / "saved_model.pb").touch()
    script = (
        "import sys\n"
        "from vidbench.cli.arguments import parse_config\n"
        "seen = set()\n"
        "sys.addaudithook(lambda e, a: seen.add(str(a[0])) if e in "
        "('open', 'os.listdir', 'os.scandir', 'os.mkdir', 'socket.connect') else None)\n"
        "parse_config(['@config.txt', '--kinetics_root_url', 'https://mirror.example'])\n"
        "print(*sorted(path for path in seen if 'site-packages' not in path), sep='\\n')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    opened = {path for path in done.stdout.splitlines() if not path.startswith("/")}
    assert opened == {"config.txt"}
    assert str(folder) not in done.stdout


def test_the_protocol_is_the_models_own_unless_options_say_otherwise() -> None:
    own = PreprocessSpec(num_frames=16, crop_size=112)
    assert parse().spec(own) == own
    assert parse("--preset", "paper").spec(own) == PRESETS["paper"]
    assert parse("--preset", "hub", "--num_frames", "64").spec(own).num_frames == 64
    assert parse("--resize_type", "pad").spec(own) == PreprocessSpec(
        num_frames=16, crop_size=112, resize_type="pad"
    )
    short_side = parse("--resize_type", "short_side").spec(own)
    assert (short_side.resize_type, short_side.short_side) == ("short_side", 256)


def test_options_are_recorded_as_plain_values() -> None:
    recorded = parse("--data_dir", "a/b", "--num_videos", "3").as_dict()
    assert recorded.keys() == OPTIONS
    assert (recorded["data_dir"], recorded["num_videos"]) == ("a/b", 3)
    assert {type(value) for value in recorded.values()} <= {str, int, float, bool, type(None)}


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "--batchsize", "4"],
        ["evaluate", "--preset", "paper", "--num_frames", "4"],
        ["evaluate", "@missing.txt"],
        ["evaluate", "--model_type", "./model"],
        ["evaluat"],
    ],
)
def test_the_command_refuses_in_one_line_and_leaves_nothing(
    run_cli: RunCli, tmp_path: Path, arguments: list[str]
) -> None:
    done = run_cli(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("vidbench: ")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
