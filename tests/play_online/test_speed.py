"""How fast the page is: `uv run --group site pytest -m timing -n 0 -s tests/play_online`."""

import pytest
from episodes import load_build

pytestmark = pytest.mark.timing

MOST_MS_TO_THE_FIRST_PICTURE, MOST_MS_PER_STEP = 1000, 4
# A whole episode by events of keys, with all that the page does for each.
PLAY = """() => {
    const codes = ["ArrowUp", "ArrowRight", "ArrowDown", "ArrowLeft"];
    const steps = document.querySelector("progress").max;
    const start = performance.now();
    for (let time = 0; time < steps; time++) {
        const code = codes[(time * 7 + (time >> 2)) % 4];
        document.dispatchEvent(new KeyboardEvent("keydown", { code }));
    }
    return (performance.now() - start) / steps;
}"""


@pytest.mark.parametrize("id", load_build().AGENTS)
def test_time_to_the_first_picture_and_of_a_step(visit, id):
    times = [page_times(visit(f"?id={id}")) for _ in range(3)]
    first, step = map(min, zip(*times, strict=True))
    print(f"{id}: first picture after {first:.0f} ms, a step takes {step:.2f} ms")
    assert first < MOST_MS_TO_THE_FIRST_PICTURE
    assert step < MOST_MS_PER_STEP


def page_times(page):
    """Milliseconds to the first picture, from the start of the navigation, and of a step."""
    first = page.evaluate("performance.getEntriesByName('first picture')[0].startTime")
    return first, page.evaluate(PLAY)
