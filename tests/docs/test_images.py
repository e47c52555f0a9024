from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.helpers.paths import REPOSITORY
from tests.helpers.patience import PATIENCE_SECONDS

IMAGES = REPOSITORY / "images"
NAMES = ("flow", "interval", "near-miss", "preprocessing")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with all pictures, drawn again."""
    folder = tmp_path_factory.mktemp("images") / "new"
    script = [sys.executable, str(IMAGES / "draw.py"), "--output", str(folder)]
    subprocess.run(script, check=True, timeout=PATIENCE_SECONDS, cwd=REPOSITORY)
    return folder


def pixels(path: Path) -> NDArray[np.int16]:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"), np.int16)


def test_there_are_no_other_pictures(drawn: Path) -> None:
    for folder in (IMAGES, drawn):
        found = {path.stem for path in folder.glob("*.png")}
        assert found - {"report"} == set(NAMES)  # which images/photograph.py takes


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_what_the_code_draws(drawn: Path, name: str) -> None:
    kept, again = pixels(IMAGES / f"{name}.png"), pixels(drawn / f"{name}.png")
    assert kept.shape == again.shape
    # Fonts and colours may differ in single pixels between versions of the libraries.
    assert np.mean(np.abs(kept - again).max(axis=2) > 48) < 0.02
    colours = np.unique(kept.reshape(-1, 3), axis=0)
    assert len(colours) > 32
    assert 0.3 < np.mean((kept > 235).all(axis=2)) < 0.98  # neither blank nor overfull


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_small_and_says_what_it_is(name: str) -> None:
    path = IMAGES / f"{name}.png"
    assert path.stat().st_size < 150_000
    with Image.open(path) as image:
        assert image.info["Title"]
