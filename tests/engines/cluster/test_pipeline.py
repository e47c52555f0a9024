"""What Ray's errors become, on one line."""

from __future__ import annotations

import pytest

from vidbench.errors import FetchError, VidbenchError

pytest.importorskip("ray", reason="needs the extra ray")

from ray.exceptions import ActorUnavailableError, RayError

from vidbench.engines.cluster.pipeline import plain_errors


def test_a_process_that_is_lost_again_and_again_may_lack_memory() -> None:
    with pytest.raises(VidbenchError) as found, plain_errors():
        raise ActorUnavailableError("The actor was restarted", bytes(16))
    message = str(found.value)
    assert "The actor was restarted" in message
    assert "runs out of memory" in message
    assert "raylet.out" in message
    assert "\n" not in message


def test_other_errors_of_ray_are_not_blamed_on_memory() -> None:
    with pytest.raises(VidbenchError) as found, plain_errors():
        raise RayError("no space left")
    assert "no space left" in str(found.value)
    assert "memory" not in str(found.value)


def test_what_a_stage_raised_comes_out_as_it_was() -> None:
    with pytest.raises(FetchError, match=r"^404$"), plain_errors():
        raise RayError from FetchError("404")
