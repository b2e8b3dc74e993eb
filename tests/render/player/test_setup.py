import pytest

import gridmem
from gridmem.baselines.agent import load, released
from gridmem.render.player.options import parse
from gridmem.render.player.setup import DEFAULT_ID, TYPICAL, set_up

ID = "GridMem-9x9-v0"


@pytest.mark.parametrize(
    ("command", "has_keys", "player", "crowd", "names"),
    [
        ("", True, "you", "reactive", {"oracle"}),
        ("", False, "oracle", "reactive", {"oracle"}),
        ("--player keys", True, "you", "reactive", {"oracle"}),
        ("--player random", False, "random", "reactive", {"oracle", "random"}),
        ("--agents 3", True, "you", "reactive", {"oracle", "reactive"}),
        ("--agents 3 --crowd oracle", True, "you", "oracle", {"oracle"}),
        ("--agents 3 --crowd random", False, "oracle", "random", {"oracle", "random"}),
    ],
)
def test_the_players(command, has_keys, player, crowd, names):
    setup = set_up(parse([ID, "--seed", "0", *command.split()]), None, has_keys=has_keys)
    assert (setup.controllers.player, setup.controllers.crowd) == (player, crowd)
    assert set(setup.controllers.by_name) == names


def test_the_environment():
    setup = set_up(parse([]), None, has_keys=True)
    assert (setup.title, setup.env.config.map.height) == ("GridMem-13x13-v0", 13)
    options = parse([ID, "--view-size", "full", "--max-steps", "30", "--agents", "2"])
    config = set_up(options, None, has_keys=True).env.config
    assert (config.view_size, config.max_steps, config.num_agents) == ("full", 30, 2)


def test_without_a_seed_every_start_has_other_levels():
    names = {set_up(parse([ID]), None, has_keys=True).levels.name for _ in range(3)}
    assert len(names) == 3


def test_an_agent_plays_its_test_levels_by_default():
    trained = load("GridMem-13x13-v0")
    for command, name, first in (
        ("", "test", TYPICAL["GridMem-13x13-v0"]),
        ("--level 5", "test", 5),
        ("--seed 3", "seed 3", 0),
        ("--seed 3 --level 2", "seed 3", 2),
        ("--levels test", "test", 0),
    ):
        options = parse(["--agent", "GridMem-13x13-v0", *command.split()])
        setup = set_up(options, trained, has_keys=False)
        assert (setup.levels.name, setup.levels.first) == (name, first)
        assert setup.controllers.player == "agent"


def test_an_agent_that_was_not_named_plays_on_request():
    setup = set_up(parse(["--seed", "1"]), load(DEFAULT_ID), has_keys=True)
    assert (setup.title, setup.controllers.player) == (DEFAULT_ID, "you")
    assert "agent" in setup.controllers.by_name
    assert not setup.controllers.shows_advice


def test_the_typical_levels_exist():
    assert set(TYPICAL) <= set(released())
    for id, number in TYPICAL.items():
        assert 0 <= number < len(gridmem.levels(id).tiles)
