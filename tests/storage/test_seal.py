from __future__ import annotations

import io
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidbench.errors import CacheError
from vidbench.storage.seal import USER_BLOCK, BytesFile, seal, verify_seal

MOVES = st.one_of(
    st.tuples(st.integers(0, 40), st.just(os.SEEK_SET)),
    st.tuples(st.integers(0, 9), st.just(os.SEEK_CUR)),
    st.tuples(st.integers(0, 9), st.just(os.SEEK_END)),
)


@given(st.binary(max_size=30), st.lists(st.tuples(MOVES, st.integers(0, 40))))
def test_bytes_read_as_a_file_are_those_of_the_standard_library(
    content: bytes, steps: list[tuple[tuple[int, int], int]]
) -> None:
    ours, theirs = BytesFile(np.frombuffer(content, np.uint8)), io.BytesIO(content)
    for move, size in steps:
        assert ours.seek(*move) == theirs.seek(*move)
        assert ours.read(size) == theirs.read(size)
        assert ours.tell() == theirs.tell()


@given(st.binary(min_size=USER_BLOCK, max_size=USER_BLOCK + 100))
def test_what_is_sealed_is_read(content: bytes) -> None:
    with pytest.raises(CacheError):
        verify_seal(memoryview(content))
    sealed = bytearray(content)
    seal(memoryview(sealed))
    assert verify_seal(memoryview(sealed)).tobytes() == sealed
    assert sealed[USER_BLOCK:] == content[USER_BLOCK:]
