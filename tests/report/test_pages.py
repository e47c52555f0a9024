"""The report and the comparison in a real browser, opened from disk."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from tests.helpers.browser import browser, opened
from tests.helpers.evaluating import sample_config
from tests.helpers.hostile import HOSTILE
from vidbench.cli.commands.compare import run as compare
from vidbench.cli.commands.fuse import run as fuse
from vidbench.cli.commands.report import run as report
from vidbench.evaluate import evaluate
from vidbench.report import ReportOptions, write_report
from vidbench.runs.finished import FinishedRun
from vidbench.runs.outputs import write_outputs
from vidbench.runs.predictions import Predictions

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["browser"]

CARDS = "#cards > li"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's folder with two runs of the sample: one takes frames as learned, one does not."""
    home = tmp_path_factory.mktemp("home")
    for name, options in (("even", {}), ("dense", {"sampling": "center", "frame_stride": 2})):
        evaluate(sample_config(home, run_name=name, num_videos=56, **options))
    return home


@pytest.fixture(scope="module")
def even(home: Path) -> FinishedRun:
    return FinishedRun(home / "results/even")


def counted(page: Page) -> int:
    found = re.match(r"([\d,]+) of", page.inner_text("#count"))
    assert found
    return int(found[1].replace(",", ""))


def eventually(page: Page, script: str) -> None:
    """Waits until the script is true, without the eval that the page forbids."""
    for _ in range(200):
        if page.evaluate(script):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never: {script}")


def choose(page: Page, **filters: str) -> int:
    """How many videos are left by the filters."""
    page.click("#show-all")
    for name, value in filters.items():
        field = page.locator(f"#filters [name={name}]")
        is_list = field.evaluate("field => field.tagName === 'SELECT'")
        field.select_option(value) if is_list else field.fill(value)
    return counted(page)


def wrong(run: FinishedRun) -> int:
    share: float = run.metrics["top1"]["value"]
    return round(len(run.predictions) * (1 - share))


def test_an_evaluation_ends_with_a_page_that_says_what_it_found(
    browser: Browser, even: FinishedRun
) -> None:
    with opened(browser, even.path / "report.html") as page:
        text = page.inner_text("main")
        assert even.metrics["signature"] in text
        for name in ("top1", "top5", "mean_class_accuracy"):
            found = even.metrics[name]
            for share in ("value", "low", "high"):
                assert f"{found[share] * 100:.1f}\u202f%" in text
        assert counted(page) == 56
        assert page.locator(CARDS).count() == 20


def score_elsewhere(even: FinishedRun, folder: Path, **columns: object) -> FinishedRun:
    """The run's predictions as another program has them, changed in these columns."""
    table = replace(even.predictions, **columns)  # type: ignore[arg-type]
    scored = FinishedRun(shutil.copytree(even.path, folder / "scored"))
    table.save(scored.path / "scores.npz")
    report([str(scored.path)])
    return FinishedRun(scored.path)


def test_a_ranking_has_no_confidence_to_show_or_to_filter_by(
    browser: Browser, even: FinishedRun, tmp_path: Path
) -> None:
    ranked = np.full(len(even.predictions), 2)
    ranked[3] = 0
    scores = even.predictions.scores.copy()
    scores[3] = 0
    found = score_elsewhere(even, tmp_path, evidence="ranking", ranked=ranked, scores=scores)
    with opened(browser, found.path / "report.html") as page:
        assert counted(page) == len(ranked)
        assert "None: the predictions are a ranking without scores" in page.inner_text("main")
        assert not page.locator("#filters fieldset").is_visible()
        choose(page, text=str(found.predictions.video_ids[0]))
        assert page.locator(".best li").count() == 2
        assert page.locator(".best .share").all_inner_texts() == ["", ""]
        choose(page, text=str(found.predictions.video_ids[3]))
        assert page.locator(".best li").all_inner_texts() == ["no class ranks above others"]
        choose(page, order="sure")
        assert page.locator(CARDS).count() == 20


def test_similarities_are_shown_as_they_are(
    browser: Browser, even: FinishedRun, tmp_path: Path
) -> None:
    scores = np.log(even.predictions.scores)
    found = score_elsewhere(even, tmp_path, evidence="similarity", scores=scores)
    with opened(browser, found.path / "report.html") as page:
        assert choose(page, state0="miss") == wrong(even)
        choose(page, order="unsure")
        shown = page.locator(".best li:first-child .share").all_inner_texts()
        values = [float(share) for share in shown]
        assert values == sorted(values)
        assert values[0] == pytest.approx(scores.max(axis=1).min(), abs=1e-3)


def test_filters_filter(browser: Browser, even: FinishedRun) -> None:
    table = even.predictions
    first = np.array(table.classes)[table.scores.argmax(axis=1)]
    sure = table.scores.max(axis=1)
    with opened(browser, even.path / "report.html") as page:
        assert choose(page, state0="miss") == wrong(even) == (first != table.targets).sum()
        assert page.locator(f"{CARDS}.right").count() == 0
        assert choose(page, state0="right") == (first == table.targets).sum()
        assert choose(page, state0="skipped") == 0
        label = str(table.labels[0])
        assert choose(page, label=label) == (table.labels == label).sum()
        assert choose(page, choice=label) == (first == label).sum()
        assert choose(page, high="90") == (sure <= 0.9).sum()
        assert choose(page, low="50", high="90") == ((sure >= 0.5) & (sure <= 0.9)).sum()
        assert choose(page, text=str(table.video_ids[7]).upper()) == 1
        assert choose(page, text="no such video") == 0
        assert choose(page) == 56


def test_videos_are_ordered_by_confidence(browser: Browser, even: FinishedRun) -> None:
    with opened(browser, even.path / "report.html") as page:
        for order, sign in (("sure", -1), ("unsure", 1)):
            choose(page, order=order)
            shares = page.locator(".best li:first-child .share").all_inner_texts()
            values = [sign * float(share.rstrip("%\u202f")) for share in shares]
            assert values == sorted(values)


def test_wrong_videos_are_red_and_say_so_in_words(browser: Browser, even: FinishedRun) -> None:
    def colour(selector: str) -> str:
        return str(page.locator(selector).first.evaluate("e => getComputedStyle(e).color"))

    with opened(browser, even.path / "report.html", color_scheme="light") as page:
        choose(page, state0="miss")
        assert colour(".video .verdict") == "rgb(196, 55, 47)"
        assert "wrong" in page.locator(".video .verdict").first.inner_text()
        assert page.locator(".mistaken .name").first.inner_text().startswith("✗")
        assert page.locator(".truth .name").first.inner_text().startswith("✓")


@pytest.mark.parametrize("embed", [False, True])
def test_a_video_plays(browser: Browser, even: FinishedRun, tmp_path: Path, embed: bool) -> None:
    path = even.path / "report.html"
    if embed:
        path = tmp_path / "alone.html"
        shutil.copy(write_report(even, ReportOptions(embed=True)), path)
        write_report(even)
    with opened(browser, path) as page:
        page.get_by_role("button", name="Play").nth(3).click()
        eventually(page, "document.querySelector('video')?.currentTime > 0.1")
        assert page.evaluate("document.querySelector('video').videoWidth") > 0


def test_a_video_that_is_gone_is_told(browser: Browser, even: FinishedRun, tmp_path: Path) -> None:
    run = shutil.copytree(even.path, tmp_path / "run")
    with opened(browser, run / "report.html", expected="net::ERR_FILE_NOT_FOUND") as page:
        page.get_by_role("button", name="Play").first.click()
        page.wait_for_selector("text=cannot play")


def test_a_video_without_a_decoder_is_told(
    browser: Browser, even: FinishedRun, tmp_path: Path
) -> None:
    """Chromium plays the sound of such a file, and shows nothing."""
    run = shutil.copytree(even.path, tmp_path / "results/run")
    path = tmp_path / "data/raw" / str(even.predictions.paths[0])
    path.parent.mkdir(parents=True)
    with av.open(str(path), "w") as file:
        picture = file.add_stream("mpeg4", 25, width=64, height=64)
        sound = file.add_stream("aac", 44100, layout="mono")
        for _ in range(25):
            file.mux(picture.encode(av.VideoFrame(64, 64, "yuv420p")))
        for _ in range(43):
            silence = np.zeros((1, 1024), np.float32)
            frame = av.AudioFrame.from_ndarray(silence, "fltp", "mono")
            frame.sample_rate = 44100
            file.mux(sound.encode(frame))
        file.mux(picture.encode())
        file.mux(sound.encode())
    with opened(browser, run / "report.html") as page:
        page.get_by_role("button", name="Play").first.click()
        page.wait_for_selector("text=it has no decoder")


def test_thumbnails_are_what_the_model_saw_and_move_with_the_folder(
    browser: Browser, even: FinishedRun, tmp_path: Path
) -> None:
    run = shutil.copytree(even.path, tmp_path / "far/away")
    (run / "report.html").unlink()
    write_report(FinishedRun(run))
    with opened(browser, run / "report.html") as page:
        strips = page.locator(f"{CARDS} img.strip")
        assert strips.count() == 20
        assert page.evaluate("document.querySelector('img.strip').naturalWidth") > 400
        assert all("saw" in (strip.get_attribute("alt") or "") for strip in strips.all())


def test_without_clips_and_videos_the_page_says_that_it_has_no_frames(
    browser: Browser, even: FinishedRun, tmp_path: Path
) -> None:
    run = shutil.copytree(even.path, tmp_path / "far/away")
    (run / "thumbnails.zip").unlink()
    write_report(FinishedRun(run))
    with opened(browser, run / "report.html") as page:
        assert "no frames" in page.locator(CARDS).first.inner_text()
        assert "0 of 56" in page.inner_text("#videos")


def test_the_class_table_sorts_and_filters(browser: Browser, even: FinishedRun) -> None:
    def column(place: int) -> list[str]:
        cells = f"#class-table tbody tr:not([hidden]) > :nth-child({place})"
        return page.locator(cells).all_inner_texts()

    with opened(browser, even.path / "report.html") as page:
        button = page.locator("#class-table thead button").nth(2)
        for direction in ("ascending", "descending"):
            button.press("Enter")
            assert (
                page.get_attribute("#class-table thead th:nth-child(3)", "aria-sort") == direction
            )
            values = [float(cell.rstrip("%\u202f").replace("\u2013", "-1")) for cell in column(3)]
            assert values == sorted(values, reverse=direction == "descending")
        page.fill("[data-filters=class-table]", "CIRCLE")
        assert sorted(column(1)) == sorted(
            name for name in even.predictions.classes if "circle" in name
        )
        page.locator("#class-table tbody tr:not([hidden]) button").first.click()
        assert counted(page) == (even.predictions.labels == column(1)[0]).sum()


def test_a_cell_of_the_confusion_matrix_shows_its_videos_by_keyboard(
    browser: Browser, even: FinishedRun
) -> None:
    with opened(browser, even.path / "report.html") as page:
        page.focus("#matrix")
        page.keyboard.press("ArrowRight")
        assert "right" in page.inner_text("#cell")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowRight")
        said = page.inner_text("#cell")
        page.keyboard.press("Enter")
        assert counted(page) == int(re.findall(r"(\d+) of", said)[0])


def test_the_first_tab_leads_past_the_navigation(browser: Browser, even: FinishedRun) -> None:
    with opened(browser, even.path / "report.html") as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip-link"
        for _ in range(12):
            page.keyboard.press("Tab")
            outline = "getComputedStyle(document.activeElement).outlineStyle"
            assert page.evaluate(outline) != "none"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(
    browser: Browser, even: FinishedRun, scheme: str
) -> None:
    """4.5 to 1, WCAG 2.2's least contrast of text (https://www.w3.org/TR/WCAG22/#contrast-minimum)."""
    with opened(browser, even.path / "report.html", color_scheme=scheme) as page:
        paper = luminance(page, "body", "backgroundColor")
        assert (paper > 0.5) == (scheme == "light")
        for selector in ("body", ".muted", ".verdict", "nav a", ".chart text"):
            name = "fill" if selector.startswith(".chart") else "color"
            ink = luminance(page, selector, name)
            assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) >= 4.5, selector
        page.click("#theme")
        assert (luminance(page, "body", "backgroundColor") > 0.5) == (scheme == "dark")


def luminance(page: Page, selector: str, name: str) -> float:
    """Relative luminance, as WCAG defines it."""
    script = "(e, name) => getComputedStyle(e)[name]"
    colour = page.locator(selector).first.evaluate(script, name)
    shares = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


_TORN = """[...document.querySelectorAll(
  ".sortable tbody th button, td.name button, td.name:not(:has(button))"
)].filter(cell => {
  const range = document.createRange();
  range.selectNodeContents(cell);
  const lines = new Set([...range.getClientRects()].map(line => Math.round(line.top)));
  const words = cell.textContent.trim().split(" ");
  return lines.size > words.length && words.every(word => word.length <= 9);
}).map(cell => cell.textContent)"""  # names of short words that have more lines than words


def test_nothing_is_wider_than_a_narrow_screen(browser: Browser, home: Path) -> None:
    compare([*runs(home), "--html", str(home / "narrow.html")])
    for path in (home / "results/even/report.html", home / "narrow.html"):
        with opened(browser, path) as page:
            page.set_viewport_size({"width": 360, "height": 740})
            assert page.evaluate("document.documentElement.scrollWidth") <= 360
            assert page.evaluate(_TORN) == []


def runs(home: Path) -> list[str]:
    return [str(home / "results/even"), str(home / "results/dense")]


def rewritten(run: FinishedRun, folder: Path, change: Callable[[Predictions], Predictions]) -> Path:
    """A run like this one, of other predictions."""
    shutil.copytree(run.path, folder)
    (folder / "thumbnails.zip").unlink()
    predictions = change(run.predictions)
    predictions.save(folder / "scores.npz")
    write_outputs(folder, predictions, run.context, 5)
    return write_report(FinishedRun(folder))


_ATTACKS = (
    *(name for name in HOSTILE if not name.endswith("\0")),  # NumPy's texts end there
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=document.title='owned'>",
    "javascript:document.title='owned'",
    '" onmouseover="document.title=1',
    "{{ 7 * 7 }} {% raw %}",
    "<!--<script>",
    "]]>&amp;&#x41;",
)


def test_nothing_that_is_injected_runs(browser: Browser, even: FinishedRun, tmp_path: Path) -> None:
    def attack(table: Predictions) -> Predictions:
        names = [_ATTACKS[place % len(_ATTACKS)] for place in range(len(table))]
        classes = (*_ATTACKS[-len(table.classes) :],)
        known = dict(zip(table.classes, classes, strict=True))
        return replace(
            table,
            classes=classes,
            video_ids=np.array([f"{place}{name}" for place, name in enumerate(names)]),
            paths=np.array([f"{name}.mp4".replace("\0", "") for name in names]),
            labels=np.array([known[label] for label in table.labels.tolist()]),
            targets=np.array([known[target] for target in table.targets.tolist()]),
            details=np.array(names, np.object_),
        )

    path = rewritten(even, tmp_path / "run", attack)
    with opened(browser, path) as page:
        title = page.title()
        assert page.locator(CARDS).count() == 20
        for _ in range(2):
            page.get_by_role("button", name="Next").first.click()
        page.locator("#class-table button.link").first.click()
        page.hover("#matrix")
        assert page.title() == title != "owned"
        assert page.locator("img[src=x], [onmouseover], [onerror]").count() == 0
        assert page.locator("script").count() == 2
        text = page.inner_text("#class-table")
        assert "<img src=x onerror=document.title='owned'>" in text
        assert "{{ 7 * 7 }} {% raw %}" in text
        assert not re.search("[\x00-\x08\x1b\u202e]", page.inner_text("body"))


def test_the_policy_would_stop_what_got_through(browser: Browser, even: FinishedRun) -> None:
    script = "const s = document.createElement('script'); s.textContent = 'window.owned = 1';"
    path = even.path / "report.html"
    with opened(browser, path, expected="Content Security Policy") as page:
        page.evaluate(script + "document.body.append(s)")
        assert page.evaluate("window.owned") is None


def test_20_000_videos_of_400_classes(browser: Browser, even: FinishedRun, tmp_path: Path) -> None:
    def enlarge(table: Predictions) -> Predictions:
        numbers = np.random.default_rng(0)
        count, classes = 20_000, tuple(f"class {place:03d}" for place in range(400))
        scores = numbers.dirichlet(np.full(400, 0.02), count).astype(np.float32)
        truths = np.where(
            numbers.random(count) < 0.7, scores.argmax(axis=1), numbers.integers(400, size=count)
        )
        labels = np.array(classes)[truths]
        return Predictions(
            classes=classes,
            video_ids=np.array([f"video {place:05d}" for place in range(count)]),
            paths=np.array([f"val/video {place:05d}.mp4" for place in range(count)]),
            labels=labels,
            targets=labels,
            groups=np.full(count, ""),
            scores=scores,
            reasons=np.full(count, "", np.object_),
            details=np.full(count, "", np.object_),
        )

    path = rewritten(even, tmp_path / "run", enlarge)
    assert path.stat().st_size < 10_000_000
    run = FinishedRun(path.parent)
    with opened(browser, path) as page:
        assert counted(page) == 20_000
        assert page.locator(CARDS).count() == 20
        assert choose(page, state0="miss") == wrong(run)
        page.get_by_role("button", name="Next").first.click()
        assert "Page 2 of" in page.inner_text("#videos")
        assert page.locator("#class-table tbody tr").count() == 400


def test_skipped_and_unlabelled_videos_are_told_apart(
    browser: Browser, even: FinishedRun, tmp_path: Path
) -> None:
    def lose(table: Predictions) -> Predictions:
        reasons, scores = table.reasons.copy(), table.scores.copy()
        reasons[:3], scores[:3] = "unreadable", np.nan
        targets = table.targets.copy()
        targets[3:5] = ""
        details = np.where(reasons == "", "", "moov atom not found").astype(np.object_)
        return replace(table, reasons=reasons, scores=scores, targets=targets, details=details)

    with opened(browser, rewritten(even, tmp_path / "run", lose)) as page:
        assert choose(page, state0="skipped") == 3
        assert "moov atom not found" in page.locator(CARDS).first.inner_text()
        assert "unreadable" in page.locator(CARDS).first.inner_text()
        assert choose(page, state0="unjudged") == 2
        assert "skipped: unreadable" in page.inner_text("#coverage")


def test_a_run_without_labels_has_a_page(
    browser: Browser, even: FinishedRun, tmp_path: Path
) -> None:
    def forget(table: Predictions) -> Predictions:
        nothing = np.full(len(table), "", np.str_)
        return replace(table, labels=nothing, targets=nothing)

    with opened(browser, rewritten(even, tmp_path / "run", forget)) as page:
        assert "Not scored: the split has no labels" in page.inner_text("#numbers")
        assert choose(page, state0="unjudged") == 56


def test_two_runs_side_by_side(browser: Browser, home: Path) -> None:
    path = home / "both.html"
    compare([*runs(home), "--html", str(path), "--csv", str(home / "both.csv")])
    differing = (home / "both.csv").read_text().splitlines()[1:]
    a_alone = sum(line.split(",")[2] == "even" for line in differing)
    with opened(browser, path) as page:
        assert choose(page, state0="right", state1="miss") == a_alone
        assert choose(page, state0="miss", state1="right") == len(differing) - a_alone
        cells = page.locator("#differences table.facts button")
        assert sum(map(int, cells.all_inner_texts())) == choose(page) == 56
        cells.nth(1).click()
        assert counted(page) == a_alone
        for name in ("even", "dense"):
            signature = FinishedRun(home / "results" / name).metrics["signature"]
            assert signature in (page.text_content("#numbers") or "")
        choose(page)
        page.get_by_role("button", name="Play").first.click()
        eventually(page, "document.querySelector('video')?.currentTime > 0.1")


def test_a_fused_run_shows_the_frames_of_its_first_member(browser: Browser, home: Path) -> None:
    fuse([*runs(home), "--run_name", "fused", "--results_dir", str(home / "results")])
    with opened(browser, home / "results/fused/report.html") as page:
        assert page.locator("img.strip").count() == 20
        page.get_by_role("button", name="Play").first.click()
        eventually(page, "document.querySelector('video')?.currentTime > 0.1")


def test_equal_runs_have_equal_pages(even: FinishedRun, tmp_path: Path) -> None:
    before = (even.path / "report.html").read_bytes()
    assert write_report(even).read_bytes() == before
    strips = (even.path / "thumbnails.zip").read_bytes()
    (even.path / "thumbnails.zip").unlink()
    write_report(even)
    assert (even.path / "thumbnails.zip").read_bytes() == strips


def test_a_page_of_few_frames_begins_with_wrong_videos(even: FinishedRun) -> None:
    number = wrong(even)
    content = write_report(even, ReportOptions(num_thumbnails=number)).read_text("utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', content, re.S)
    assert found
    data = json.loads(found[1])
    states = data["runs"][0]["state"]
    assert {states[int(row)] for row in data["thumbnails"]} <= {1, 2}
    assert len(data["thumbnails"]) == number
    write_report(even)


def test_the_command_counts_as_it_is_told(
    even: FinishedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    report([str(even.path), "--thumbnails", "0"])
    assert f"{even.path}/report.html" in capsys.readouterr().out
    assert "image/jpeg" not in (even.path / "report.html").read_text("utf-8")
    report([str(even.path)])
    assert "image/jpeg" in (even.path / "report.html").read_text("utf-8")
