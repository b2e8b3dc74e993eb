"""The page in headless Chromium, opened from disk."""

import shutil

import pytest
from episodes import FOLDER

PROGRAMS = "chromium", "chromium-browser", "google-chrome"
READY = """
    performance.getEntriesByName("first picture").length > 0 ||
    !document.getElementById("problem").hidden
"""


@pytest.fixture(scope="module")
def browser():
    reason = "needs playwright: uv run --group site pytest -m slow tests/play_online"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if not program:
        pytest.skip("there is no Chromium on this machine")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser):
    """Opens the page with a query; in the end, nothing may have been asked of any network."""
    contexts, requests = [], []

    def visit(query="", folder=FOLDER, size=(1280, 720), **options):
        width, height = size
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.on("request", lambda request: requests.append(request.url))
        contexts.append(context)
        page = context.new_page()
        page.goto((folder / "index.html").as_uri() + query)
        page.wait_for_function(READY)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert requests
    assert [url for url in requests if url.split(":")[0] not in ("file", "data", "blob")] == []
