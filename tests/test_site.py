"""The documentation site has every public name and every page, and loads nothing from a network."""

import importlib.util
import inspect
import re
import subprocess
import sys
from enum import Enum
from pathlib import Path

import pytest

import gridmem
import gridmem.baselines

ROOT = Path(__file__).parent.parent
SITE = ROOT / "docs" / "site"
ENTRY = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)
PUBLIC = [
    *(f"gridmem.{name}" for name in gridmem.__all__),
    *(f"gridmem.baselines.{name}" for name in gridmem.baselines.__all__),
]
LOADED = re.compile(r'<(?:script|img|iframe|source|link rel="stylesheet")[^>]*="(?:https?:)?//')
needs_mkdocs = pytest.mark.skipif(
    importlib.util.find_spec("mkdocs") is None,
    reason="needs mkdocs: uv run --group docs pytest -m slow tests/test_site.py",
)


def entries():
    pages = sorted((SITE / "pages" / "reference").glob("*.md"))
    return [name for page in pages for name in ENTRY.findall(page.read_text())]


def test_the_reference_has_every_public_name_once():
    found = entries()
    assert sorted(name for name in found if name in PUBLIC) == sorted(PUBLIC)
    assert len(found) == len(set(found))


@pytest.mark.parametrize("path", PUBLIC)
def test_every_public_name_says_what_it_takes_and_raises(path):
    module, _, name = path.rpartition(".")
    value = getattr(sys.modules[module], name)
    if not callable(value):
        assert path in ("gridmem.CONFIGS", "gridmem.baselines")
        return
    text, source = inspect.getdoc(value), inspect.getsource(value)
    assert text, path
    missing = arguments(value) - set(re.findall(r"^ *\**(\w+): ", text, re.MULTILINE))
    # The settings of a training run have a docstring each.
    missing -= set(re.findall(r'^    (\w+): .*\n    """', source, re.MULTILINE))
    assert not missing, f"the docstring of {path} does not say what {missing} is"
    if inspect.isfunction(value) and re.search(r"^    raise ", source, re.MULTILINE):
        assert "Raises:" in text, path


def arguments(value):
    """Names of the arguments of a function or a class; a protocol and an enum have none."""
    if value is gridmem.Environment or (isinstance(value, type) and issubclass(value, Enum)):
        return set()
    return set(inspect.signature(value).parameters)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    built = subprocess.run(
        [*command, "-f", SITE / "mkdocs.yml", "-d", folder], capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    return folder


@needs_mkdocs
@pytest.mark.slow
def test_the_site_is_built_and_has_an_entry_for_each_name(site):
    pages = "".join(page.read_text() for page in (site / "reference").glob("*.html"))
    assert [name for name in PUBLIC if f'id="{name}"' not in pages] == []


@needs_mkdocs
@pytest.mark.slow
def test_the_site_has_a_page_with_a_picture_for_each_id(site):
    for id in gridmem.CONFIGS:
        page = (site / "ids" / f"{id}.html").read_text()
        (picture,) = re.findall(r'src="\.\./(images/ids/[^"]+)"', page)
        assert (site / picture).exists()


@needs_mkdocs
@pytest.mark.slow
def test_the_site_loads_nothing_from_a_network(site):
    for page in site.rglob("*.html"):
        assert LOADED.findall(page.read_text()) == [], page.name


@needs_mkdocs
@pytest.mark.slow
def test_the_site_can_be_searched_from_a_disk(site):
    assert (site / "search" / "search_index.js").exists()
    assert '<script src="assets/iframe-worker.js">' in (site / "index.html").read_text()
