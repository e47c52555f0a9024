from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidbench.storage.locations import without_password

SECRET = st.from_regex(r"[^/\s@]+", fullmatch=True)


@pytest.mark.parametrize(
    ("address", "shown", "with_name"),
    [
        ("https://user:secret@host/x", "https://host/x", "https://user@host/x"),
        ("rtsp://token@camera", "rtsp://camera", "rtsp://token@camera"),
        ("abfss://box@account/x", "abfss://account/x", "abfss://box@account/x"),
        ("s3://key:a:b@bucket", "s3://bucket", "s3://key@bucket"),
        ("see http://a:b@c and http://:d@e", "see http://c and http://e", None),
        ("mail a@b, path x//y/z@w", "mail a@b, path x//y/z@w", "mail a@b, path x//y/z@w"),
    ],
)
def test_what_is_shown_of_an_address(address: str, shown: str, with_name: str | None) -> None:
    assert without_password(address) == shown
    if with_name is not None:
        assert without_password(address, keep_name=True) == with_name


@given(SECRET)
def test_no_password_is_left(secret: str) -> None:
    for keep_name in (False, True):
        shown = without_password(f"https://me:{secret}@host/path", keep_name=keep_name)
        assert shown in ("https://host/path", "https://me@host/path")
