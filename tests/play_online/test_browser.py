"""The page as a visitor has it, and its code against Python's; `test_modules.py` is quicker."""

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from episodes import (
    DRIVER,
    FOLDER,
    ORACLES,
    by_network,
    by_rules,
    check,
    content,
    first_levels,
    job,
    load_build,
    of_page,
    trips,
    wishes,
)

import gridmem
from gridmem.baselines.agent import load
from gridmem.envs.registry import CONFIGS

pytestmark = pytest.mark.slow

EPISODES = 50
SIZES = {
    "wide": (1280, 720),
    "tablet": (768, 1024),
    "phone": (360, 740),
    "wide tablet": (1024, 768),
    "wide phone": (844, 390),
    "small": (360, 480),  # as in a page of the site
}
SMALL = "?id=GridMem-9x9-v0&level=2"
KEYS = ("ArrowUp", "w"), ("ArrowRight", "d"), ("ArrowDown", "s"), ("ArrowLeft", "a")
PAD = "Up", "Right", "Down", "Left"
PICTURES = Path(__file__).parents[2] / ".cache" / "play_online"  # to be looked at
PLAYERS = "you", "agent", "oracle"
AGENTS = load_build().AGENTS


def device(name):
    """Options of a visit by a screen of this size."""
    touch = name != "wide"
    return {"size": SIZES[name], "has_touch": touch, "is_mobile": touch}


def drive(page, job):
    """What driver.js gives in the browser, of the page's own code."""
    play = DRIVER.read_text().strip().removesuffix(";")
    play = play[play.index("(gridmem, job)") :]
    return json.loads(page.evaluate(f"(job) => JSON.stringify(({play})(gridmem, job))", job))


@pytest.mark.parametrize("id", CONFIGS)
def test_rules_and_oracle_are_those_of_python(visit, id):
    actions, expected = by_rules(id, wishes(id, EPISODES))
    assert (expected["busy"].max() > 0) == ("Dig" in id)
    check(drive(visit(f"?id={id}"), job(id, actions)), expected)


@pytest.mark.parametrize("id", AGENTS)
def test_networks_give_the_outputs_of_python(visit, id):
    env, model = gridmem.make(id), of_page(load(id)).model
    actions, expected = by_network(env, model, first_levels(id, EPISODES))
    agent = content(FOLDER / f"data/{id}-agent.js")
    found = drive(visit(f"?id={id}"), job(id, actions, agent))
    np.testing.assert_array_equal(found.pop("action"), actions.ravel())
    check(found, expected, tolerance=1e-4)


@pytest.fixture(scope="module")
def game():
    """The actions of an episode on level 2 of the small id, and the trips of all three players."""
    id, number = "GridMem-9x9-v0", 2
    agent = by_network(gridmem.make(id), of_page(load(id)).model, first_levels(id, number + 1))[0]
    yours = np.minimum(wishes(id, number + 1), 3)  # all of them are moves
    played = {"You": yours, "Agent": agent, "Oracle": np.full_like(yours, ORACLES)}
    episodes = {name: by_rules(id, each) for name, each in played.items()}
    expected = {name: trips(fields, number) for name, (_, fields) in episodes.items()}
    return episodes["You"][0][number].tolist(), expected


def card(page):
    """The steps of trips on the card, by player."""
    steps = {}
    for row in page.locator("#trips tbody tr").all():
        finds, *cells = row.locator("td").all_inner_texts()
        name = row.get_by_role("rowheader").inner_text()
        steps[name] = [int(cell) for cell in cells if cell]
        assert len(steps[name]) == int(finds)
    return steps


def play(page, actions):
    for time, action in enumerate(actions):
        page.keyboard.press(KEYS[action][time % 2])


def arrive(page, end):
    """Waits for the game at an address with this end."""
    page.wait_for_url(lambda url: url.endswith(end))
    page.locator("#game").wait_for()


def is_shown(page, player):
    return page.locator(f"#{player} .view").is_visible()


def test_a_game_by_keys(visit, game):
    actions, expected = game
    page = visit(SMALL)
    play(page, actions[:-1])
    assert page.locator("#steps").inner_text() == "step 63 of 64"
    assert not page.locator("#card").is_visible()
    play(page, actions[-1:])
    assert card(page) == expected
    finds = {name: len(steps) for name, steps in expected.items()}
    title = page.locator("#card-title")
    assert title.inner_text() == (
        f"You found the goal {finds['You']} times, the agent {finds['Agent']}, "
        f"the oracle {finds['Oracle']}."
    )
    assert title.evaluate("(title) => title === document.activeElement")  # it is read to you
    page.keyboard.press("ArrowUp")  # the episode is over
    assert page.locator("#steps").inner_text() == "step 64 of 64"
    page.keyboard.press("r")
    assert page.locator("#steps").inner_text() == "step 0 of 64"
    assert not page.locator("#card").is_visible()


def test_a_game_by_touch_on_a_phone(visit, game):
    actions, expected = game
    page = visit(SMALL, **device("phone"))
    view = page.locator("#you .view")
    side = view.bounding_box()["width"]
    beside = [(0.5, 0.1), (0.9, 0.5), (0.5, 0.9), (0.1, 0.5)]
    for time, action in enumerate(actions):
        if time % 2:
            page.get_by_role("button", name=PAD[action]).tap()
        else:
            x, y = beside[action]
            view.tap(position={"x": x * side, "y": y * side})
    assert card(page) == expected
    for key, name in (("agent", "Agent"), ("oracle", "Oracle"), ("you", "You")):
        tab = page.get_by_role("button", name=f"{name} {len(expected[name])}")
        tab.tap()
        assert tab.get_attribute("aria-pressed") == "true"
        assert [player for player in PLAYERS if is_shown(page, player)] == [key]


def test_an_id_without_an_agent_has_the_oracle(visit):
    page = visit("?id=GridMem-DigLarge-v0")
    assert [player for player in PLAYERS if page.locator(f"#{player}").count()] == ["you", "oracle"]
    assert page.get_by_label("Hide the oracle until I am done").is_visible()
    sentence = "Walk into brown rock to dig it away, which takes 6 steps."
    assert page.get_by_text(sentence).is_visible()
    assert "rock" not in visit(SMALL).locator("header").inner_text()


@pytest.mark.parametrize(("key", "code"), [("r", "KeyO"), ("R", "KeyR"), ("к", "KeyR")])
def test_letters_are_those_of_the_layout(visit, key, code):
    page = visit(SMALL)
    play(page, [0])
    press = "(keys) => document.dispatchEvent(new KeyboardEvent('keydown', keys))"
    page.evaluate(press, {"key": "p", "code": "KeyR"})  # Dvorak
    assert page.locator("#steps").inner_text() == "step 1 of 64"
    page.evaluate(press, {"key": key, "code": code})
    assert page.locator("#steps").inner_text() == "step 0 of 64"


def test_what_is_said_while_digging(visit):
    id, number = "GridMem-Dig-v0", 0
    dig_steps = gridmem.make(id).config.dig_steps
    actions, fields = by_rules(id, np.full((number + 1, gridmem.make(id).max_steps), ORACLES))
    before = int(np.argmax(fields["busy"][number] > 0)) - 1  # steps before the first rock
    page = visit(f"?id={id}&level={number}")
    message = page.locator("#message")
    play(page, actions[number, : before + 1])
    dig = actions[number, before]
    for left in range(dig_steps, 1, -1):
        assert message.inner_text() == f"Digging for {left} more steps."
        play(page, [dig])
    assert message.inner_text() == "Digging for 1 more step."
    play(page, [dig])
    assert message.inner_text() == "The rock is gone."
    play(page, [dig])  # enters
    assert message.inner_text() == ""


def test_a_wall_is_said_to_block(visit):
    page = visit(SMALL)
    play(page, [0] * 9)  # further than the map is high
    assert page.locator("#message").inner_text() == "That way is blocked."


def test_the_others_and_the_map_can_be_hidden(visit, game):
    actions, _ = game
    page = visit(SMALL + "&hide=others")
    page.get_by_label("Hide my map").check()
    assert "hide=others+map" in page.locator("#next").get_attribute("href")
    play(page, actions[:-1])
    assert not is_shown(page, "agent")
    assert not is_shown(page, "oracle")
    assert page.locator("#you .map").is_hidden()
    play(page, actions[-1:])
    assert all(is_shown(page, player) for player in PLAYERS)
    assert page.locator("#you .map").is_visible()
    assert page.locator("#rows td").all_inner_texts()[-2] == "others, map"
    page.locator("#again").click()
    page.get_by_label("Hide agent").uncheck()  # before the first step, they show nothing new
    page.get_by_label("Hide agent").check()
    play(page, actions[:1])
    page.get_by_label("Hide my map").uncheck()
    page.get_by_label("Hide my map").check()
    page.locator("#steps").click()  # away from the checkbox
    play(page, actions[1:])
    assert page.locator("#rows tr").first.locator("td").all_inner_texts()[-2] == "others"


def test_results_are_kept_and_exported(visit, game):
    actions, expected = game
    page = visit(SMALL)
    assert not page.locator("#results").is_visible()
    for _ in range(2):
        play(page, actions)
        page.keyboard.press("r")
    page.reload()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    assert [row.pop("attempt") for row in rows] == ["1", "2"]
    first, second = (row.pop("date") for row in rows)
    assert first < second
    assert rows[0] == rows[1]
    assert rows[0] == {
        **{"id": "GridMem-9x9-v0", "level": "2", "max_steps": "64"},
        **{"others_hidden": "false", "map_hidden": "false"},
        "finds": str(len(expected["You"])),
        "agent_finds": str(len(expected["Agent"])),
        "oracle_finds": str(len(expected["Oracle"])),
        "trips": " ".join(map(str, expected["You"])),
    }
    delete = page.get_by_role("button", name="Delete all")
    page.once("dialog", lambda dialog: dialog.dismiss())
    delete.click()
    assert page.locator("#rows tr").count() == 2
    page.once("dialog", lambda dialog: dialog.accept())
    delete.click()
    assert not page.locator("#results").is_visible()
    page.reload()
    page.locator("#game").wait_for()
    assert not page.locator("#results").is_visible()
    play(page, actions)
    assert page.locator("#rows td").all_inner_texts()[3] == "3"  # attempts are still counted


def test_a_tap_on_oneself_does_not_move(visit):
    page = visit(SMALL)
    view = page.locator("#you .view")
    view.click()  # in the middle
    assert page.locator("#steps").inner_text() == "step 0 of 64"
    cell = view.bounding_box()["width"] / gridmem.make("GridMem-9x9-v0").view_size
    middle = view.bounding_box()["width"] / 2
    view.click(position={"x": middle, "y": middle - 0.6 * cell})
    assert page.locator("#steps").inner_text() == "step 1 of 64"


def test_next_and_lists_lead_to_other_caves(visit):
    page = visit("?id=GridMem-13x13-v0&level=99")
    page.keyboard.press("n")
    arrive(page, "level=345")
    page.locator("#next").click()
    arrive(page, "level=0")
    page.get_by_label("Level").select_option("7")
    arrive(page, "id=GridMem-13x13-v0&level=7")
    page.get_by_label("Environment").select_option("GridMem-v0")
    arrive(page, "id=GridMem-v0")


def test_the_keyboard_alone_is_enough(visit):
    page = visit(SMALL)
    for name in ("id", "level", "next", "again", "hide-map", "hide-others"):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        assert focused.get_attribute("id") == name
        assert focused.evaluate("(each) => getComputedStyle(each).outlineStyle") == "solid"
    page.keyboard.press("Space")
    assert page.get_by_label("Hide agent").is_checked()
    page.keyboard.press("ArrowUp")  # plays from wherever the focus is
    assert page.locator("#steps").inner_text() == "step 1 of 64"
    page.get_by_label("Level").focus()
    page.keyboard.press("ArrowUp")  # but in a list it chooses
    arrive(page, "level=1&hide=others")


def test_a_screen_reader_has_names_and_news(visit, game):
    actions, _ = game
    page = visit(SMALL)
    is_named = """(all) => all.length > 0 && all.every((each) =>
        each.getAttribute("aria-label") || each.labels?.length || each.textContent.trim())"""
    for kind in ("button", "select", "input", "a", "[role=img]", "progress"):
        assert page.locator(kind).evaluate_all(is_named)
    spoken = page.locator("#spoken")
    first = spoken.inner_text()
    assert "up " in first
    assert "goal" in first
    play(page, actions[:20])
    assert spoken.inner_text() != first


def test_nothing_moves_by_itself_if_less_motion_is_wished(visit):
    for motion, animation in (("no-preference", "found"), ("reduce", "none")):
        page = visit(SMALL, reduced_motion=motion)
        page.locator("#you").evaluate("(panel) => panel.classList.add('found')")
        style = "(panel) => getComputedStyle(panel).animationName"
        assert page.locator("#you").evaluate(style) == animation


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("size", SIZES)
def test_it_fits_and_is_pictured(visit, game, size, scheme):
    page = visit(SMALL, **device(size), color_scheme=scheme)
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, end in (("begin", 20), ("end", 64)):
        play(page, game[0][20 if end == 64 else 0 : end])
        page.screenshot(path=PICTURES / f"{name}-{size}-{scheme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


@pytest.mark.parametrize("id", ["GridMem-13x13-v0", "GridMem-DigLarge-v0"])  # 3 players, and 2
@pytest.mark.parametrize("size", [size for size in SIZES if size != "small"])
def test_your_pictures_are_seen_without_scrolling(visit, id, size):
    page = visit(f"?id={id}", **device(size))
    pad = page.locator("#pad").bounding_box()
    assert bool(pad) == (size != "wide")
    for picture in ("#you .view", "#you .map"):
        box = page.locator(picture).bounding_box()
        assert box["width"] >= 140
        assert box["y"] + box["height"] <= page.viewport_size["height"]
        is_beside = pad and box["x"] + box["width"] <= pad["x"]
        assert not pad or is_beside or box["y"] + box["height"] <= pad["y"]
    if pad:
        assert pad["y"] + pad["height"] <= page.viewport_size["height"]


def test_forced_colours_tell_states_apart(visit):
    page = visit(SMALL, **device("phone"), forced_colors="active")

    def picture(selector):
        return page.locator(selector).screenshot()

    assert len({picture(f"#pad [data-action='{action}']") for action in range(4)}) == 4
    progress, tab = picture("#progress"), picture("#tabs button:nth-child(1)")
    play(page, [0, 1] * 10)
    assert picture("#progress") != progress
    page.get_by_role("button", name="Oracle").tap()
    assert picture("#tabs button:nth-child(1)") != tab


PROBLEMS = {
    "?id=GridMem-7x7-v0": "There is no environment “GridMem-7x7-v0”; choose one from the list.",
    "?id=constructor": "There is no environment “constructor”; choose one from the list.",
    "?level=1000": "There is no level “1000” here; choose one of 0 to 99 and 345.",
    "?level=": "There is no level “” here; choose one of 0 to 99 and 345.",
    "?hide=map+you": "There is no “you” to hide; choose others, map or others+map.",
}


@pytest.mark.parametrize("query", PROBLEMS)
def test_an_address_that_names_nothing(visit, query):
    page = visit(query)
    assert page.get_by_role("alert").inner_text() == PROBLEMS[query]
    assert page.locator("#game").is_hidden()
    page.get_by_label("Environment").select_option("GridMem-20x20-v0")
    page.wait_for_url("**/*id=GridMem-20x20-v0*")
    page.locator("#game").wait_for()


@pytest.fixture
def copied(tmp_path):
    """The folder, for tests that damage it."""
    ignored = shutil.ignore_patterns("node_modules", "src")
    return shutil.copytree(FOLDER, tmp_path / "page", ignore=ignored)


DAMAGES = {
    "missing": lambda path: path.unlink(),
    "cut": lambda path: path.write_text(path.read_text()[:4000]),
    "shortened": lambda path: path.write_text(path.read_text().replace("A", "", 4)),
    "empty": lambda path: path.write_text(""),
}


@pytest.mark.parametrize("kind", ["levels", "agent"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_broken_file(visit, copied, damage, kind):
    name = f"data/GridMem-9x9-v0-{kind}.js"
    DAMAGES[damage](copied / name)
    message = visit(SMALL, folder=copied).get_by_role("alert").inner_text()
    state = "missing" if damage == "missing" else "damaged"
    assert message == f"The file {name} is {state}; get the folder of this page again."


@pytest.mark.parametrize("text", ["let 1 = old", ""])
def test_a_browser_that_cannot_run_it(visit, copied, text):
    (copied / "play.js").write_text(text)
    message = visit(SMALL, folder=copied).get_by_role("alert").inner_text()
    assert message.startswith("This browser is too old for this page, or play.js")


def test_broken_results_do_not_stop_the_game(visit, game):
    page = visit(SMALL)
    page.evaluate("localStorage.setItem('gridmem-results-1', '{]')")
    page.reload()
    page.locator("#game").wait_for()
    message = page.locator("#message").inner_text()
    assert message == "Earlier results in this browser cannot be read."
    play(page, game[0])
    assert page.locator("#rows tr").count() == 1
    kept = page.evaluate("Object.entries(localStorage)")
    assert [text for key, text in kept if "unreadable" in key] == ["{]"]
    page.reload()
    page.locator("#game").wait_for()
    assert page.locator("#rows tr").count() == 1
    assert page.locator("#message").inner_text() == ""


def test_results_that_cannot_be_kept_can_be_exported(visit, game):
    page = visit(SMALL)
    play(page, game[0])
    page.evaluate("() => { Storage.prototype.setItem = () => { throw new Error('full'); }; }")
    for rows in (2, 3):
        page.keyboard.press("r")
        play(page, game[0])
        assert page.locator("#rows tr").count() == rows
    page.keyboard.press("r")
    message = page.locator("#message").inner_text()
    assert message == "This browser does not keep results; export them before you leave."
