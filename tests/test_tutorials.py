"""The notebooks of docs/tutorials run from their first cell to the last, with smaller numbers."""

import importlib.util
import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "docs" / "tutorials"
SMALLER = {
    "watch_an_agent": {"NUM_LEVELS = 300": "NUM_LEVELS = 20", "--steps 72": "--steps 4"},
    "your_own_memory": {
        "STEPS = 1_500_000": "STEPS = 20_000",
        "NUM_LEVELS = 500": "NUM_LEVELS = 4",
    },
}
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))


def cells(name):
    return json.loads((FOLDER / f"{name}.ipynb").read_text())["cells"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_is_stored_with_the_outputs_of_one_run(name):
    code = [cell for cell in cells(name) if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert not any(out["output_type"] == "error" for cell in code for out in cell["outputs"])


@pytest.mark.skipif(
    importlib.util.find_spec("nbclient") is None,
    reason="needs nbclient: uv run --group docs pytest -m slow tests/test_tutorials.py",
)
@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_runs(name, tmp_path):
    import nbformat
    from nbclient import NotebookClient

    text = (FOLDER / f"{name}.ipynb").read_text()
    for number, smaller in SMALLER[name].items():
        assert number in text
        text = text.replace(number, smaller)
    notebook = nbformat.reads(text, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
