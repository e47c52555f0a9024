"""Options are described once; here is what follows from a description."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, fields
from pathlib import Path

import pytest

from tests.helpers.paths import REPOSITORY
from vidbench.config.options import Option, check_options, option, options_of
from vidbench.config.run_config import RunConfig
from vidbench.errors import ConfigError

OPTIONS = options_of(RunConfig)
LIMITED = {name: option.limits for name, option in OPTIONS.items() if option.limits}


@dataclass(frozen=True, kw_only=True)
class Oven:
    heat: int | None = option(None, "degrees", "C", limits=(20, 300))
    rate: float = option(1.5, "degrees a second", "RATE")
    mode: str = option("fan", "how it heats: {choices}", "NAME", choices=("fan", "grill"))
    recipe: Path | None = option(None, "what to bake", "FILE", names="file")
    light: bool = option(False, "turn on the light")
    temperature: float = 0.0


def test_an_option_has_the_type_of_its_field_and_others_are_none() -> None:
    kinds = {name: described.kind for name, described in options_of(Oven).items()}
    assert kinds == {"heat": int, "rate": float, "mode": str, "recipe": Path, "light": bool}


def test_the_help_has_choices_and_defaults() -> None:
    helps = {name: described.help for name, described in options_of(Oven).items()}
    assert helps["mode"] == "how it heats: fan, grill (default fan)"
    assert helps["rate"] == "degrees a second (default 1.5)"
    assert helps["light"] == "turn on the light"
    assert options_of(Oven)["heat"].saying("how hot").help == "how hot"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Oven(heat=301), "--heat is 301, must be from 20 to 300"),
        (Oven(mode="gril"), "--mode 'gril' is unknown: the nearest valid one is 'grill'"),
        (Oven(mode=""), "--mode is empty"),
        (Oven(recipe=Path("/missing")), "--recipe '/missing' does not exist"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_valid(wrong: Oven, message: str) -> None:
    check_options(Oven(heat=20, recipe=Path(__file__)))
    with pytest.raises(ConfigError) as caught:
        check_options(wrong)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("name", sorted(LIMITED))
def test_limits_are_valid_and_what_lies_beyond_is_not(name: str) -> None:
    low, high = LIMITED[name]
    for value in (low, high):
        OPTIONS[name].check(name, value)
    for value in (low - 1, high + 1, float("nan")):
        with pytest.raises(ConfigError, match=f"--{name} is .* must be from"):
            OPTIONS[name].check(name, value)


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_every_option_of_a_run_is_described(name: str) -> None:
    described = OPTIONS[name]
    assert described.kind in (bool, float, int, str, Path)
    assert bool(described.metavar) == (described.kind is not bool)
    assert described.help[0] != " "
    assert described.help[-1] not in ".:,"
    assert not described.page or (REPOSITORY / f"docs/{described.page}.md").exists()
    for choice in described.choices:
        described.check(name, choice)


def test_a_run_config_is_a_flat_value_of_options() -> None:
    assert {field.name for field in fields(RunConfig)} == OPTIONS.keys()
    config = RunConfig(num_videos=3)
    assert config == RunConfig(num_videos=3)
    with pytest.raises(FrozenInstanceError):
        config.num_videos = 4  # type: ignore[misc]


def test_a_description_alone_says_what_is_valid() -> None:
    for names, valid, wrong in (
        ("local_folder", ".", "nowhere"),
        ("plain", "a run", "a/b"),
        ("class_list", "kinetics-400", "kinetics-4"),
    ):
        described = Option(text="what it is", names=names)  # type: ignore[arg-type]
        described.check("name", valid)
        with pytest.raises(ConfigError, match="--name"):
            described.check("name", wrong)
