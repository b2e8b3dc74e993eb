"""Every Python example in README.md and docs/ runs as it stands; paths and links exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "gridmem"
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = [*GUIDES, *sorted((ROOT / "docs" / "site" / "pages").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PATH = re.compile(r"`((?:gridmem|tests|docs|assets|envs|baselines)/[\w/.-]+)`")
FENCE = re.compile(r"^```.*$", re.MULTILINE)
CODE = re.compile(r"^```.*?^```$|`[^`]+`", re.MULTILINE | re.DOTALL)


def examples():
    for page in PAGES:
        if page.name == "extending.md":  # tests/baselines/foreign.py imports its modules
            continue
        text = page.read_text()
        for match in EXAMPLE.finditer(text):
            line = text[: match.start(1)].count("\n")
            # The empty lines make a traceback point into the page.
            marks = () if page.name == "README.md" else pytest.mark.slow
            yield pytest.param(page, "\n" * line + match[1], id=f"{page.name}:{line}", marks=marks)


@pytest.mark.parametrize(("page", "code"), list(examples()))
def test_example_runs(page, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, page, "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_fences_are_closed_and_name_what_they_hold(page):
    fences = FENCE.findall(page.read_text())
    assert set(fences[1::2]) <= {"```"}
    assert set(fences[::2]) <= {"```python", "```bash", "```text", "```json"}
    assert len(fences) % 2 == 0


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_paths_in_the_text_exist(page):
    """Paths in backquotes from the root, or from the package."""
    paths = PATH.findall(page.read_text())
    assert [p for p in paths if not any((root / p).exists() for root in (ROOT, PACKAGE))] == []


@pytest.mark.parametrize("page", [*GUIDES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_links_lead_to_files(page):
    """As on a git host; mkdocs checks those to headings, too."""
    links = LINK.findall(CODE.sub("", page.read_text()))
    assert [link for link in links if not (page.parent / link).exists()] == []
