"""Each rule of the game as a small picture."""

import numpy as np
import playing
import pytest

from gridmem import Action, Env, EnvConfig, Level, Return, TextMap, Tile, Tour

UP, RIGHT, DOWN, LEFT = Action
UNKNOWN = [-1, 4, 99]
NONE = 4
MARKS = ".#%G"


class Game:
    """An episode on a picture.

    Digits are spawns; "*" is the first spawn upon a goal, where the game itself never puts one.
    """

    def __init__(self, picture, task=Return, **options):
        rows = picture.split()
        map_ = TextMap(tuple(row.replace("*", "0") for row in rows))
        on_goal = [(r, row.index("*")) for r, row in enumerate(rows) if "*" in row]
        goals = [*map_.goals, *on_goal]
        tiles = np.array([[max(MARKS.find(mark), 0) for mark in row] for row in rows], np.uint8)
        for goal in goals:
            tiles[goal] = Tile.GOAL
        self.level = Level(tiles, np.array(goals, np.int32), np.array(map_.spawns, np.int32))
        # The config names an empty map of that size, so that one compilation serves many pictures.
        wall, floor = "#" * len(rows[0]), "#" + "." * map_.width + "#"
        size = TextMap((wall, *[floor] * map_.height, wall))
        self.env = Env(EnvConfig(map=size, task=task(len(goals)), **options))
        self.state, self.timestep = playing.start(self.env, self.level)

    def play(self, *actions):
        """One action for all agents, or a tuple of one per agent, per step."""
        for action in actions:
            each = np.broadcast_to(np.int32(action), self.env.num_agents)
            self.state, self.timestep = playing.step(self.env, self.state, each)
        return self

    @property
    def cells(self):
        return [tuple(cell) for cell in np.asarray(self.state.world.position).tolist()]

    @property
    def reward(self):
        return self.timestep.reward.tolist()

    @property
    def rows(self):
        return ["".join(MARKS[tile] for tile in row) for row in self.state.world.tiles]

    def view(self, agent=0):
        view = self.timestep.obs.view[agent]
        return ["".join((MARKS + "@")[tile] for tile in row) for row in view]


CELL = """
    #######
    #..#..#
    #.#0#G#
    #..#..#
    #######"""
PEN = CELL.replace("#0#", "%0%")
FIELD = """
    #######
    #.....#
    #..0..#
    #....G#
    #######"""
TUNNEL = "####### #0%..G# #######"
GALLERY = """
    #######
    #.0%1.#
    #....G#
    #.....#
    #######"""
MEETING = """
    #######
    #.0G1.#
    #.2.3.#
    #.....#
    #######"""


@pytest.mark.parametrize(
    ("action", "cell"), [(UP, (1, 3)), (RIGHT, (2, 4)), (DOWN, (3, 3)), (LEFT, (2, 2))]
)
def test_an_action_moves_one_cell(action, cell):
    assert Game(FIELD).play(action).cells == [cell]


@pytest.mark.parametrize("action", Action)
def test_a_wall_stops(action):
    game = Game(CELL).play(action)
    assert game.cells == [(2, 3)]
    assert game.reward == [0]


def test_entering_the_goal_pays_one_and_moves_to_the_next_spawn_within_the_step():
    game = Game("""
        #######
        #0G...#
        #.....#
        #2...1#
        #######""").play(RIGHT)
    assert game.reward == [1]
    assert game.cells == [(3, 5)]
    assert game.view() == ["...##", "...##", "..@##", "#####", "#####"]  # as seen from there
    assert game.state.visits.tolist() == [1]
    assert game.play(LEFT).reward == [0]


def test_spawns_are_used_in_turn_and_then_again():
    game = Game("####### #0G1..# #######")
    visited = [game.cells[0]]
    for action in (RIGHT, LEFT, RIGHT, LEFT):
        visited.append(game.play(action).cells[0])
        assert game.reward == [1]
    assert visited == [(1, 1), (1, 3), (1, 1), (1, 3), (1, 1)]


def test_agents_share_the_spawns_by_turns():
    game = Game(
        """
        #######
        #0G1..#
        #.....#
        #42.3.#
        #######""",
        num_agents=2,
    )
    assert game.cells == [(1, 1), (1, 3)]
    assert game.play((RIGHT, RIGHT)).cells == [(3, 2), (1, 4)]  # the first find: spawn 0 + 1 * 2
    game.play((UP, LEFT), (UP, LEFT))
    assert game.reward == [1, 1]
    assert game.cells == [(3, 1), (3, 4)]  # spawns 0 + 2 * 2 and 1 + 1 * 2


@pytest.mark.parametrize("action", [UP, LEFT, DOWN])
def test_a_bump_beside_the_goal_pays_nothing(action):
    game = Game("####### #0G...# #######").play(action)
    assert game.reward == [0]
    assert game.cells == [(1, 1)]


@pytest.mark.parametrize("action", [UP, LEFT, DOWN, *UNKNOWN])
def test_a_bump_or_a_rest_upon_the_goal_pays_nothing(action):
    game = Game("####### #*..1.# #######").play(action, action)
    assert game.reward == [0]
    assert game.cells == [(1, 1)]
    assert game.state.visits.tolist() == [0]


def test_leaving_the_goal_pays_nothing_and_coming_back_pays():
    game = Game("####### #*..1.# #######")
    assert game.play(RIGHT).reward == [0]
    assert game.play(LEFT).reward == [1]
    assert game.cells == [(1, 4)]


def test_goals_stay_and_each_pays_every_time():
    game = Game("####### #.G0G.# #######")
    for action in (RIGHT, LEFT, RIGHT, RIGHT):
        assert game.play(action).reward == [1]
    assert game.state.goals.tolist() == [[1, 2], [1, 4]]
    assert game.rows[1] == "#.G.G.#"


@pytest.mark.parametrize("action", UNKNOWN)
@pytest.mark.parametrize("dig_steps", [0, 2])
@pytest.mark.parametrize("picture", [FIELD, PEN], ids=["field", "pen"])
def test_an_unknown_action_stays_and_reports_none(picture, action, dig_steps):
    game = Game(picture, dig_steps=dig_steps).play(action)
    assert game.cells == [(2, 3)]
    assert game.rows == picture.replace("0", ".").split()
    assert game.state.world.busy.tolist() == [0]
    assert game.timestep.obs.last_action.tolist() == [NONE]
    assert game.reward == [0]


def test_rock_is_as_good_as_wall_without_digging():
    game = Game(TUNNEL, dig_steps=0).play(RIGHT, RIGHT, RIGHT)
    assert game.cells == [(1, 1)]
    assert game.rows[1] == "#.%..G#"
    assert game.state.world.busy.tolist() == [0]


def test_dug_rock_is_floor_at_once_and_the_digger_stays():
    game = Game(TUNNEL, dig_steps=2).play(RIGHT)
    assert game.cells == [(1, 1)]
    assert game.rows[1] == "#....G#"
    assert game.view()[2] == "##@.."


@pytest.mark.parametrize("dig_steps", [1, 2, 5])
def test_crossing_a_rock_takes_dig_steps_and_two_more(dig_steps):
    game = Game(TUNNEL, dig_steps=dig_steps)
    visited = [game.play(RIGHT).cells[0] for _ in range(dig_steps + 3)]
    assert visited == [(1, 1)] * (dig_steps + 1) + [(1, 2), (1, 3)]


def test_the_actions_of_a_busy_agent_are_ignored_but_reported_as_given():
    game = Game(GALLERY, dig_steps=3).play(RIGHT)
    for busy, action in ((2, DOWN), (1, 99), (0, LEFT)):
        assert game.play(action).cells == [(1, 2)]
        assert game.timestep.obs.last_action.tolist() == [NONE if action == 99 else action]
        assert game.state.world.busy.tolist() == [busy]
    assert game.play(DOWN).cells == [(2, 2)]


@pytest.mark.parametrize("action", [UP, LEFT, DOWN])
def test_permanent_wall_is_never_dug(action):
    game = Game(TUNNEL, dig_steps=2).play(action)
    assert game.rows == TUNNEL.replace("0", ".").split()
    assert game.state.world.busy.tolist() == [0]


def test_two_agents_that_dig_one_rock_both_pay():
    game = Game(GALLERY, num_agents=2, dig_steps=2).play((RIGHT, LEFT))
    assert game.state.world.busy.tolist() == [2, 2]
    assert game.cells == [(1, 2), (1, 4)]
    assert game.rows[1] == "#.....#"


def test_who_comes_a_step_later_walks_through_the_hole_for_free():
    game = Game(GALLERY, num_agents=2, dig_steps=2).play((RIGHT, NONE), (RIGHT, LEFT))
    assert game.cells == [(1, 2), (1, 3)]
    assert game.state.world.busy.tolist() == [1, 0]


@pytest.mark.parametrize("dig_steps", [0, 2])
def test_agents_never_block_one_another(dig_steps):
    game = Game("####### #.01.G# #######", num_agents=2, dig_steps=dig_steps)
    assert game.play((RIGHT, LEFT)).cells == [(1, 3), (1, 2)]  # they swap
    assert game.play((NONE, RIGHT)).cells == [(1, 3), (1, 3)]  # share a cell
    assert game.play((LEFT, LEFT)).cells == [(1, 2), (1, 2)]  # and move as one


@pytest.mark.parametrize("dig_steps", [0, 2])
def test_two_agents_that_enter_the_goal_at_once_are_both_paid(dig_steps):
    game = Game(MEETING, num_agents=2, dig_steps=dig_steps).play((RIGHT, LEFT))
    assert game.reward == [1, 1]
    assert game.cells == [(2, 2), (2, 4)]


def test_each_agent_is_paid_for_its_own_find_only():
    game = Game(MEETING, num_agents=2).play((RIGHT, RIGHT))
    assert game.reward == [1, 0]
    assert game.timestep.obs.last_reward.tolist() == [1, 0]
    assert game.state.visits.tolist() == [1, 0]


def test_the_view_is_the_crop_around_the_agent_and_shows_it_at_the_centre():
    game = Game("""
        #######
        #.%...#
        #..0.G#
        #.#...#
        #######""")
    assert game.view() == ["#####", ".%...", "..@.G", ".#...", "#####"]


def test_outside_the_map_is_wall():
    game = Game(FIELD.replace("0", ".").replace("#.....#", "#0....#", 1), view_size=7)
    assert game.view() == [*["#######"] * 3, "###@...", *["###...."] * 2, "#######"]


def test_agents_are_drawn_over_goals():
    game = Game("####### #*1...# #######", num_agents=2)
    assert game.view(1)[2] == "#@@.."
    assert game.view(0)[2] == "##@@."
    game.play((RIGHT, NONE))  # both stand in one cell, and the goal is bare again
    assert game.view(0)[2] == game.view(1)[2] == "#G@.."


def test_a_lone_agent_is_drawn_over_the_goal():
    assert Game("####### #*1...# #######").view()[2] == "##@.."


def test_an_agent_beyond_the_view_is_not_seen():
    game = Game("####### #0..1G# #######", num_agents=2)
    assert game.view(0)[2] == "##@.."
    assert game.play((RIGHT, NONE)).view(0)[2] == "#.@.@"


def test_the_first_timestep_reports_no_action_and_no_reward():
    game = Game(MEETING, num_agents=2)
    assert game.timestep.obs.last_action.tolist() == [NONE, NONE]
    assert game.timestep.obs.last_reward.tolist() == [0, 0]
    assert game.timestep.time.tolist() == [0, 0]
    assert not game.timestep.done.any()


def test_last_action_and_last_reward_are_those_of_the_step_just_made():
    game = Game(MEETING).play(RIGHT)
    assert game.timestep.obs.last_action.tolist() == [RIGHT]
    assert game.timestep.obs.last_reward.tolist() == game.reward == [1]
    game.play(DOWN)
    assert game.timestep.obs.last_action.tolist() == [DOWN]
    assert game.timestep.obs.last_reward.tolist() == game.reward == [0]


def test_the_clock_truncates_at_exactly_max_steps_and_never_terminates():
    game = Game(MEETING, num_agents=2, max_steps=3)
    truncated = []
    for _ in range(5):
        truncated.append(game.play(UP).timestep.truncated.tolist())
        assert not game.timestep.terminated.any()
        assert game.timestep.done.tolist() == truncated[-1]
    assert truncated == [[False, False]] * 2 + [[True, True]] * 3
    assert game.timestep.time.tolist() == [5, 5]


def test_the_last_step_of_an_episode_pays_and_the_cave_goes_on_after_it():
    game = Game("####### #0G1..# #######", max_steps=1).play(RIGHT)
    assert game.timestep.truncated.tolist() == [True]
    assert game.reward == [1]
    assert game.play(LEFT).reward == [1]
    assert game.cells == [(1, 1)]


# ---- a goal that moves


def moving(num_goals):
    return Return(num_goals, goal_moves=True)


def test_a_goal_that_moves_goes_to_the_end_of_the_spawn_list_when_it_is_found():
    game = Game("######## #0G1.23# ########", moving)
    assert game.play(LEFT).rows[1] == "#.G....#"
    game.play(RIGHT)
    assert game.reward == [1]
    assert game.cells == [(1, 3)]  # spawn 1
    assert game.rows[1] == "#.....G#"  # spawn 3, the last of the list
    assert game.state.goals.tolist() == [[1, 6]]
    game.play(RIGHT, RIGHT, RIGHT)
    assert game.reward == [1]
    assert game.cells == [(1, 5)]  # spawn 2
    assert game.rows[1] == "#..G...#"  # spawn 2 of the list from its end is taken; so spawn 1


def test_a_goal_that_moves_stays_where_every_spawn_is_taken():
    game = Game("##### #0G.# #####", moving).play(RIGHT)
    assert game.reward == [1]
    assert game.cells == [(1, 1)]
    assert game.rows[1] == "#.G.#"


def test_a_moved_goal_does_not_land_on_an_agent():
    game = Game("######## #0G..12# ########", moving, num_agents=2)
    game.play((RIGHT, RIGHT))  # the other agent steps from spawn 1 to spawn 2
    assert game.reward == [1, 0]
    assert game.cells == [(1, 6), (1, 6)]  # the finder lands on spawn 0 + 1 * 2
    assert game.rows[1] == "#....G.#"


# ---- the tour

ROUND = "######## #G0G.1# ########".replace("#G0G.1#", "#G0G..1#")


def test_a_waypoint_pays_once_and_becomes_floor():
    game = Game(ROUND, Tour).play(RIGHT)
    assert game.reward == [1]
    assert game.cells == [(1, 3)]  # no teleport in the middle of a tour
    assert game.rows[1] == "#G.....#"
    game.play(LEFT, RIGHT)
    assert game.reward == [0]
    assert game.state.visits.tolist() == [1]


def test_all_waypoints_come_back_when_none_is_left_and_the_agent_is_moved():
    game = Game(ROUND, Tour).play(RIGHT, LEFT, LEFT)
    assert game.reward == [1]
    assert game.cells == [(1, 6)]  # spawn 1
    assert game.rows[1] == "#G.G...#"
    assert game.state.task.tours.tolist() == [1]
    game.play(LEFT, LEFT, LEFT)
    assert game.reward == [1]


def test_agents_share_a_tour():
    game = Game("######## #G0.1G.# ########", Tour, num_agents=2)
    game.play((LEFT, LEFT))
    assert game.reward == [1, 0]
    assert game.rows[1] == "#....G.#"
    game.play((RIGHT, RIGHT), (RIGHT, RIGHT))
    assert game.reward == [0, 1]
    assert game.rows[1] == "#G...G.#"  # the next tour
    assert game.cells == [(1, 3), (1, 4)]  # only who took the last one is moved, to spawn 3


def test_agents_that_enter_a_waypoint_together_are_both_paid():
    game = Game("######## #0G1..G# ########", Tour, num_agents=2).play((RIGHT, LEFT))
    assert game.reward == [1, 1]
    assert game.rows[1] == "#.....G#"


# ---- the compass


def test_the_compass_points_to_the_nearest_goal_that_is_there():
    game = Game(
        """
        #######
        #G....#
        #...0.#
        #....G#
        #######""",
        Tour,
        compass=True,
    )
    side = 5  # the larger side of the interior
    assert game.timestep.obs.compass.tolist() == [pytest.approx([1 / side, 1 / side])]
    game.play(DOWN, RIGHT, LEFT)
    assert game.timestep.obs.compass.tolist() == [pytest.approx([-2 / side, -3 / side])]


def test_without_a_compass_there_is_nothing():
    assert Game(FIELD).timestep.obs.compass.shape == (1, 0)
