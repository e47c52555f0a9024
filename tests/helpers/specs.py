"""Strategies that draw preprocessing."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from vidbench.data.spec import RESIZE_FILTERS, SIDE_ROUNDINGS, PreprocessSpec, TooShort


def specs() -> st.SearchStrategy[PreprocessSpec]:
    """Every valid spec with small numbers."""

    def build(
        clips: dict[str, Any], crops: dict[str, Any], num_frames: int, too_short: TooShort
    ) -> PreprocessSpec:
        if too_short == "stretch" and clips.get("sampling", "uniform") != "uniform":
            too_short = "repeat_last"
        return PreprocessSpec(num_frames=num_frames, too_short=too_short, **clips, **crops)

    steps = st.fixed_dictionaries(
        {
            "fps": st.none() | st.sampled_from([1.0, 12.5, 25.0, 29.97]),
            "frame_stride": st.integers(1, 3),
        }
    )
    several = st.integers(2, 4)
    clips: st.SearchStrategy[dict[str, Any]] = st.one_of(
        st.just({}),
        steps.map(lambda s: s | {"sampling": "center"}),
        st.builds(lambda s, n: s | {"sampling": "dense", "num_clips": n}, steps, several),
        st.builds(
            lambda s, n, seed: s | {"sampling": "random", "num_clips": n, "sampling_seed": seed},
            steps,
            st.integers(1, 3),
            st.integers(0, 2),
        ),
    )
    side = st.integers(1, 3)
    crops_of_one = st.sampled_from([1, 3])
    rounding = st.sampled_from(SIDE_ROUNDINGS)
    longer = st.builds(
        lambda n, more: {"crop_size": n, "short_side": n + more}, side, st.integers(0, 2)
    )
    crops = st.one_of(
        st.builds(
            lambda n, r: {"crop_size": n, "resize_type": "pad", "side_rounding": r}, side, rounding
        ),
        st.builds(lambda n, m: {"crop_size": n, "num_crops": m}, side, crops_of_one),
        st.builds(
            lambda n, m: {"crop_size": n, "num_crops": m, "resize_type": "crop"}, side, crops_of_one
        ),
        st.builds(lambda n: n | {"resize_type": "squash"}, longer),
        st.builds(
            lambda n, m, r: n | {"resize_type": "short_side", "num_crops": m, "side_rounding": r},
            longer,
            crops_of_one,
            rounding,
        ),
    )
    crops = st.builds(
        lambda crop, how: crop | {"resize_filter": how}, crops, st.sampled_from(RESIZE_FILTERS)
    )
    policies: list[TooShort] = ["stretch", "loop", "repeat_last", "skip"]
    return st.builds(build, clips, crops, st.integers(1, 3), st.sampled_from(policies))
