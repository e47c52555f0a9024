from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.helpers.paths import REPOSITORY, SAMPLE
from tests.helpers.patience import PATIENCE_SECONDS
from vidbench.config.run_config import RunConfig

NOTEBOOK = REPOSITORY / "notebook.ipynb"

Cells = list[Any]

NOWHERE = "http://127.0.0.1:9"  # a port that nobody listens to


def read_notebook() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]


def code_cells(notebook: Any) -> Cells:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cells: Cells) -> list[str]:
    """All lines that cells printed."""
    outputs = [output for cell in cells for output in cell.outputs]
    texts = [output.text for output in outputs if output.output_type == "stream"]
    return "".join(texts).splitlines()


def readable(cells: Cells) -> str:
    """All text of the outputs; without pictures, in whose letters anything might stand."""
    texts = printed(cells)
    for output in (output for cell in cells for output in cell.outputs):
        texts += [text for kind, text in output.get("data", {}).items() if "image" not in kind]
    return re.sub(r"data:image/\w+;base64,[\w+/=]+", "", "\n".join(texts))


@pytest.fixture(scope="module")
def committed() -> Any:
    return read_notebook()


@pytest.fixture(scope="module")
def kernel_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the notebook runs: the sample is there, and nothing else."""
    folder = tmp_path_factory.mktemp("notebook")
    shutil.copytree(SAMPLE, folder / "data" / "sample")
    return folder


@pytest.fixture(scope="module")
def fresh(kernel_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The notebook after all cells ran, without a network and without anybody's settings."""
    own = str(tmp_path_factory.mktemp("jupyter"))
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    environment = {**os.environ, **dict.fromkeys(names, NOWHERE), "no_proxy": "", "NO_PROXY": ""}
    environment["PYTHONPATH"] = str(REPOSITORY)  # a reader starts it in the repository's folder
    environment |= {"IPYTHONDIR": own, "JUPYTER_CONFIG_DIR": own, "JUPYTER_DATA_DIR": own}
    notebook = read_notebook()
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    resources = {"metadata": {"path": str(kernel_folder)}}
    client = NotebookClient(
        notebook, timeout=PATIENCE_SECONDS, kernel_name="python3", resources=resources
    )
    return client.execute(env=environment)


def test_it_runs_from_top_to_bottom_without_a_network(fresh: Any, kernel_folder: Path) -> None:
    outputs = [output for cell in code_cells(fresh) for output in cell.outputs]
    kinds = {output.get("name", output.output_type) for output in outputs}
    assert kinds <= {"stdout", "display_data", "execute_result"}  # no error, no warning
    runs = list((kernel_folder / "results" / "notebook").iterdir())
    assert len(runs) == 2
    assert all((run / "report.html").is_file() for run in runs)


def test_committed_outputs_are_those_of_one_run_from_top_to_bottom(committed: Any) -> None:
    counts = [cell.execution_count for cell in code_cells(committed)]
    assert counts == list(range(1, len(counts) + 1))


def test_every_cell_that_shows_something_was_committed_with_it(committed: Any, fresh: Any) -> None:
    for old, new in zip(code_cells(committed), code_cells(fresh), strict=True):
        assert [output.output_type for output in old.outputs] == [
            output.output_type for output in new.outputs
        ], old.source


def test_committed_accuracies_are_those_that_come_out(committed: Any, fresh: Any) -> None:
    of_accuracy = re.compile(r"(top-\d|mean class|signature|A, center|B, uniform|A - B|right) ")
    lines = [line for line in printed(code_cells(committed)) if of_accuracy.match(line)]
    assert len(lines) == 8
    assert lines == [line for line in printed(code_cells(fresh)) if of_accuracy.match(line)]


def test_outputs_name_no_place_of_a_machine(
    committed: Any, fresh: Any, kernel_folder: Path
) -> None:
    for notebook in (committed, fresh):
        text = readable(code_cells(notebook))
        assert not re.search(r"(?<![\w<])/(home|root|tmp|work|usr|opt|mnt|var|Users)\b", text)
        assert str(kernel_folder) not in text
        assert str(REPOSITORY) not in text


def test_it_holds_nothing_that_changes_without_a_reason(committed: Any) -> None:
    assert committed.metadata.keys() == {"kernelspec", "language_info"}
    assert committed.metadata.language_info == {"name": "python"}
    assert all(not cell.metadata for cell in committed.cells)
    ids = [cell.id for cell in committed.cells]
    assert len(set(ids)) == len(ids)
    assert NOTEBOOK.stat().st_size < 1_500_000


def test_its_links_lead_somewhere_and_its_pictures_are_described(committed: Any) -> None:
    text = "\n".join(cell.source for cell in committed.cells if cell.cell_type == "markdown")
    links = re.findall(r"(!?)\[([^\]]*)\]\(([^)]+)\)", text)
    assert len(links) > 5
    for is_picture, words, target in links:
        assert (REPOSITORY / target).is_file()
        assert not is_picture or len(words) > 30
    pages = readable(code_cells(committed))
    assert pages.count("<img") == len(re.findall(r'<img [^>]*alt="[^"]{5,}"', pages)) > 10


def test_the_switch_asks_for_i3d_on_kinetics(committed: Any) -> None:
    switch = next(c.source for c in code_cells(committed) if c.source.startswith("USE_KINETICS"))
    names: dict[str, Any] = {"RunConfig": RunConfig}
    exec(switch.split("\nmodel = ")[0].replace("False", "True"), names)  # noqa: S102
    config = names["config"]
    assert (config.model_name, config.dataset_name) == ("i3d/kinetics-400", "kinetics/400")
    assert config.num_videos == 16
