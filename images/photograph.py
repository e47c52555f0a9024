"""Take a screenshot of the report of a finished run of the embedded sample, for the README.

python images/photograph.py results/saved_model_sample-val_112_1cd23e75
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

SIZE: ViewportSize = {"width": 1200, "height": 1230}


def photograph(run: Path, path: Path) -> None:
    """Write a screenshot of the run's page: its results, and below them its first wrong videos."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chromium.new_page(viewport=SIZE, color_scheme="light")
        page.goto((run / "report.html").resolve().as_uri())
        _shorten(page)
        page.screenshot(path=path)
        chromium.close()


def _shorten(page: Page) -> None:
    """Hide the sections between results and videos, and show the wrong videos."""
    for name in ("coverage", "classes", "confusion", "calibration", "speed"):
        page.evaluate(f"document.getElementById('{name}').hidden = true")
    page.select_option("[name=state0]", "miss")


def main() -> None:
    """Take a screenshot of the run that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "report.png")
    options = parser.parse_args()
    photograph(options.run, options.output)


if __name__ == "__main__":
    main()
