"""make, configs as data, and the sentence that answers each mistake."""

import json
import os
import subprocess
import sys

import gymnasium
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import gridmem
from gridmem import Env, EnvConfig, NoiseMap, Return, TextMap, Tour
from gridmem.envs.config import config_from_dict, config_to_dict

SMALL = ("#####", "#0.G#", "#####")


# ---- make


def test_the_ids_are_those_of_the_design():
    table = {
        id: (map_.height, map_.width, map_.solid, env.view_size, env.max_steps, env.num_agents)
        for id in gridmem.CONFIGS
        for env in [gridmem.make(id)]
        for map_ in [env.config.map]
    }
    assert table == {
        "GridMem-9x9-v0": (9, 9, "wall", 5, 64, 1),
        "GridMem-13x13-v0": (13, 13, "wall", 5, 128, 1),
        "GridMem-20x20-v0": (20, 20, "wall", 5, 256, 1),
        "GridMem-v0": (40, 40, "wall", 5, 512, 1),
        "GridMem-Dig-v0": (40, 40, "rock", 5, 512, 1),
        "GridMem-DigLarge-v0": (80, 80, "rock", 11, 512, 1),
    }


def test_the_published_constants_of_the_maps():
    classic, dig, large = (
        gridmem.make(id).config for id in ("GridMem-v0", "GridMem-Dig-v0", "GridMem-DigLarge-v0")
    )
    assert classic.map == NoiseMap(40, 40, (8, 4), dirichlet=False, threshold=0.3, solid="wall")
    octaves = (20, 10, 8, 5, 4)
    assert dig.map == NoiseMap(40, 40, octaves, dirichlet=True, threshold=0.05, solid="rock")
    doubled = (40, 20, 16, 10, 8)
    assert large.map == NoiseMap(80, 80, doubled, dirichlet=True, threshold=0.05, solid="rock")
    assert (classic.dig_steps, dig.dig_steps, large.dig_steps) == (0, 5, 5)


def test_gymnasium_knows_every_id():
    assert set(gridmem.CONFIGS) <= set(gymnasium.registry)


def test_overrides_change_what_they_name_and_keep_the_rest():
    env = gridmem.make("GridMem-Dig-v0", num_agents=4, view_size=7, max_steps=99, dig_steps=2)
    assert (env.num_agents, env.view_size, env.max_steps) == (4, 7, 99)
    assert env.config.dig_steps == 2
    assert env.config.map == gridmem.make("GridMem-Dig-v0").config.map


def test_a_dict_changes_some_fields_of_the_map_and_of_the_task():
    env = gridmem.make(
        "GridMem-Dig-v0", map={"height": 16, "wavelengths": [9, 3]}, task={"num_goals": 2}
    )
    octaves = (9, 3)
    assert env.config.map == NoiseMap(16, 40, octaves, dirichlet=True, threshold=0.05, solid="rock")
    assert env.config.task == Return(2)


def test_a_dict_may_choose_another_class_of_map():
    env = gridmem.make("GridMem-v0", map={"type": "TextMap", "rows": list(SMALL)})
    assert env.config.map == TextMap(SMALL)
    assert env.config.map == gridmem.make("GridMem-v0", map=TextMap(SMALL)).config.map


def test_a_field_of_the_map_or_of_the_task_may_be_given_by_itself():
    env = gridmem.make("GridMem-v0", height=16, wavelengths=[9, 3], goal_moves=True)
    assert env.config.map == NoiseMap(16, 40, (9, 3))
    assert env.config.task == Return(goal_moves=True)
    env = gridmem.make("GridMem-v0", task={"type": "Tour"}, num_goals=3)
    assert env.config.task == Tour(3)


@pytest.mark.parametrize("name", ["max_steps", "max_episode_steps", "max_cycles"])
def test_the_frameworks_names_of_the_clock(name):
    assert gridmem.make("GridMem-v0", **{name: 99}).max_steps == 99


def test_a_config_is_hashable_and_equal_by_value():
    for id in gridmem.CONFIGS:
        assert gridmem.make(id) == gridmem.make(id)
        assert hash(gridmem.make(id)) == hash(gridmem.make(id))
    assert len({gridmem.make(id) for id in gridmem.CONFIGS}) == len(gridmem.CONFIGS)


@pytest.mark.parametrize(
    "config",
    [
        *(gridmem.make(id).config for id in gridmem.CONFIGS),
        EnvConfig(map=TextMap(SMALL), view_size="full"),
        EnvConfig(task=Tour(3), compass=True),
        EnvConfig(task=Return(goal_moves=True)),
        EnvConfig(map=NoiseMap(7, 9, (3,)), task=Return(3), num_agents=2, dig_steps=1),
    ],
)
def test_a_config_survives_json(config):
    data = json.loads(json.dumps(config_to_dict(config)))
    assert config_from_dict(data) == config
    # The dict is whole: what it is laid upon does not matter.
    assert config_from_dict(data, base=gridmem.make("GridMem-Dig-v0").config) == config
    assert Env(config_from_dict(data)) == Env(config)


SCALARS = [np.int64(20), np.int32(20), np.array(20), jnp.int32(20)]


@pytest.mark.parametrize("scalar", SCALARS, ids=lambda scalar: type(scalar).__name__)
def test_numbers_may_be_those_of_numpy_or_jax(scalar, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    expected = gridmem.make("GridMem-v0", height=20, max_steps=20, compass=True, num_goals=20)
    options = {"max_steps": scalar, "compass": np.bool_(True), "task": {"num_goals": scalar}}
    wavelengths, threshold = np.array([8, 4]), np.float64(0.3)
    map_ = {"height": scalar, "wavelengths": wavelengths, "threshold": threshold}
    made = gridmem.make("GridMem-v0", map=map_, **options)
    assert made == expected
    assert json.dumps(config_to_dict(made.config)) == json.dumps(config_to_dict(expected.config))
    adapters = [gymnasium.make("GridMem-9x9-v0", max_steps=scalar, observation="view").unwrapped]
    adapters += [gymnasium.make_vec("GridMem-9x9-v0", scalar, max_steps=scalar).unwrapped]
    adapters += [gridmem.gymnax_env("GridMem-9x9-v0", max_steps=scalar)]
    assert [adapter.core.max_steps for adapter in adapters] == [20, 20, 20]
    assert adapters[1].num_envs == 20
    assert len(gridmem.parallel_env("GridMem-9x9-v0", num_agents=np.int64(2)).possible_agents) == 2


# ---- mistakes

# In the test run wrong types meet the type checker first, so an interpreter of its own, without
# it, makes all the mistakes. A ValueError answers each: what is wrong, and what would be right.
MISTAKES = {
    "make('GridMem-v1')": "no environment 'GridMem-v1' (did you mean 'GridMem-v0'?)",
    "make('gridmem-dig-v0')": "(did you mean 'GridMem-Dig-v0'?)",
    "make('?')": "no environment '?'; the ids are GridMem-9x9-v0, GridMem-13x13-v0",
    "make('GridMem-v0', num_agnets=2)": "no option 'num_agnets' (did you mean 'num_agents'?); "
    "the options are map, task, num_agents, view_size, max_steps, dig_steps",
    "make('GridMem-v0', map={'hieght': 9})": "no map option 'hieght' (did you mean 'height'?)",
    "make('GridMem-v0', task={'goals': 9})": "no task option 'goals' (did you mean 'num_goals'?)",
    "make('GridMem-v0', map={'type': 'Textmap'})": "no map type 'Textmap' (did you mean 'TextMap'?)"
    "; the types are NoiseMap, TextMap",
    "make('GridMem-v0', goal_move=True)": "no option 'goal_move' (did you mean 'goal_moves'?)",
    "make('GridMem-v0', goal_moves=1)": "goal_moves is 1; it must be true or false",
    "make('GridMem-v0', goal_moves=True, num_goals=2)": "goal_moves needs num_goals 1, not 2",
    "make('GridMem-v0', compass='yes')": "compass is 'yes'; it must be true or false",
    "make('GridMem-v0', max_steps=9, max_cycles=9)": "max_steps and max_cycles are names of one "
    "option; give only one of them",
    "make('GridMem-v0', map={'height': 9}, height=8)": "height is given twice, by itself and in "
    "map; give it once",
    "make('GridMem-v0', task={'type': 'Tuor'})": "(did you mean 'Tour'?); the types are Return, "
    "Tour",
    "make('GridMem-v0', view_size=4)": "view_size is 4; it must be an odd number of cells, 3 or "
    "more, so that the agent is at the centre, or 'full'",
    "make('GridMem-v0', view_size=1)": "view_size is 1; it must be an odd number",
    "make('GridMem-v0', view_size='big')": "view_size is 'big'; it must be an odd number",
    "make('GridMem-v0', view_size=5.0)": "view_size is 5.0; it must be an odd number",
    "make('GridMem-v0', num_agents=0)": "num_agents is 0; it must be a whole number, 1 or more",
    "make('GridMem-v0', num_agents=True)": "num_agents is True; it must be a whole number",
    "make('GridMem-v0', max_steps=0)": "max_steps is 0; it must be a whole number, 1 or more",
    "make('GridMem-v0', max_steps=np.float64(9))": "max_steps is 9.0; it must be a whole number",
    "make('GridMem-v0', max_steps='9')": "max_steps is '9'; it must be a whole number, 1 or more",
    "make('GridMem-v0', dig_steps=-1)": "dig_steps is -1; it must be a whole number, 0 or more",
    "make('GridMem-v0', task={'num_goals': 0})": "num_goals is 0; it must be a whole number, 1 or "
    "more",
    "NoiseMap(4, 9)": "map height is 4; it must be a whole number of cells from 5 to 250",
    "NoiseMap(9, 251)": "map width is 251; it must be a whole number of cells from 5 to 250",
    "NoiseMap(9.5, 9)": "map height is 9.5; it must be a whole number of cells",
    "NoiseMap(wavelengths=())": "map wavelengths are (); they must be 1 to 16 whole "
    "numbers of cells, each from 2 to 512",
    "NoiseMap(wavelengths=(8, 999))": "each from 2 to 512",
    "NoiseMap(threshold=float('nan'))": "map threshold is nan; it must be a finite number",
    "NoiseMap(dirichlet='no')": "map dirichlet is 'no'; it must be true or false",
    "make('GridMem-v0', map='cave')": "the map is 'cave'; it must be a dict of options or one of "
    "NoiseMap, TextMap",
    "make('GridMem-v0', map={'type': 'TextMap'})": "map type 'TextMap' needs the option 'rows'",
    "TextMap((1, 2, 3))": "TextMap rows are (1, 2, 3); they must be a list of lines of text",
    "NoiseMap(wavelengths=(8, 1))": "map wavelengths are (8, 1); they must be 1 to 16 whole",
    "NoiseMap(solid='mud')": "map solid is 'mud'; it must be 'wall' or 'rock'",
    "TextMap(())": "TextMap rows differ in length; every row needs the same number",
    "TextMap(('####', '#.#', '####'))": "TextMap rows differ in length",
    "TextMap(('##', '##'))": "TextMap is 2 x 2 cells; each side must have 3 to 252",
    "TextMap(('###', '#x#', '###'))": "TextMap has the character 'x'; use '#' wall, '%' rock, '.' "
    "floor, 'G' goal, and digits for spawns",
    "TextMap(('###', '#..', '###'))": "TextMap must be enclosed: its outermost cells must all be "
    "'#'",
    "TextMap(('###', '#%#', '#%#'))": "TextMap must be enclosed",
    "TextMap(('###', '#G#', '###'))": "TextMap leaves no free cell for a spawn; add a '.' or a "
    "digit",
    "EnvConfig(map=NoiseMap(5, 5), num_agents=7)": "no more than 4 free cells, too few for 1 goals "
    "and 7 agents or marked spawns; use a larger map",
    "EnvConfig(map=NoiseMap(5, 5), task=Return(7))": "too few for 7 goals and 1 agents",
    "EnvConfig(map=TextMap(('####', '#01#', '####')))": "no more than 2 free cells, too few for 1 "
    "goals and 2 agents or marked spawns",
    "EnvConfig(map=TextMap(('#####', '#0GG#', '#####')))": "the map marks 2 goals and the task has "
    "1; make them equal",
}


@pytest.fixture(scope="module")
def answers():
    """The type and the message of what each mistake raises."""
    code = f"""
import json
import numpy as np
from gridmem import EnvConfig, NoiseMap, Return, TextMap, make
answers = {{}}
for mistake in {list(MISTAKES)}:
    try:
        answers[mistake] = "nothing", repr(eval(mistake))
    except Exception as error:
        kind = ValueError if isinstance(error, ValueError) else type(error)
        answers[mistake] = kind.__name__, str(error)
print(json.dumps(answers))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_answered_by_what_is_wrong_and_what_is_right(mistake, answers):
    raised, message = answers[mistake]
    assert raised == "ValueError", message
    assert MISTAKES[mistake] in message
