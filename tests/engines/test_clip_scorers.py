"""What scorers of decoded clips hand from one process to another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vidbench.data.clips.cache import CacheKey
from vidbench.data.records import Skip
from vidbench.data.spec import PreprocessSpec
from vidbench.engines.clip_scorers import dump_results, load_results

SPEC = PreprocessSpec(num_frames=2, crop_size=8)


@given(st.lists(st.tuples(st.sampled_from(["missing", "unreadable"]), st.text()) | st.none()))
def test_results_come_back(given_results: list[tuple[str, str] | None]) -> None:
    results = [
        Skip(*one) if one else CacheKey(f"{place:064x}", SPEC)
        for place, one in enumerate(given_results)
    ]
    assert load_results(dump_results(results), SPEC) == results
