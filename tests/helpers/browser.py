"""A real browser that opens pages from disk, and notes what goes wrong in them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page

_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium as the system has it; skips where there is none, but never where CI is set."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("there is no Chromium: install it, e.g. apt-get install chromium")
        pytest.skip("no Chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Its sandbox needs rights that a container's root does not have.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        chromium = playwright.chromium.launch(executable_path=path, args=options)
        yield chromium
        chromium.close()


@contextmanager
def opened(browser: Browser, path: Path, *, expected: str = "", **options: Any) -> Iterator[Page]:
    """The page, open; fails at its end if it complained or asked the network for anything.

    Where a complaint is expected, all must hold that text, and there must be one.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(f"{said.type}: {said.text}"))
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))

    def dismiss(dialog: Dialog) -> None:
        complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("dialog", dismiss)
    page.on("request", lambda asked: complaints.extend(_refused(asked.url)))
    page.goto(path.resolve().as_uri())
    try:
        yield page
        strange = [said for said in complaints if not expected or expected not in said]
        assert not strange, strange
        assert bool(complaints) == bool(expected), complaints
    finally:
        context.close()


def _refused(url: str) -> list[str]:
    return [] if url.startswith(("file:", "data:")) else [f"asked the network: {url[:200]}"]
