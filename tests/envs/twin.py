"""The game once more, slow and plain: loops and numpy, nothing shared with the package."""

from collections import deque

import numpy as np

FLOOR, WALL, ROCK, GOAL, AGENT = range(5)
MOVES = {0: (-1, 0), 1: (0, 1), 2: (1, 0), 3: (0, -1)}  # up, right, down, left
NO_ACTION = 4


class Twin:
    """Plays a task on a level; `state` and `timestep` are nested dicts of arrays.

    The task is "return", "goal moves" or "tour".
    """

    def __init__(
        self, level, num_agents, view_size, max_steps, dig_steps, task="return", compass=False
    ):
        self.task, self.compass = task, compass
        self.tours = [0] * num_agents
        self.tiles, self.goals, self.spawns = (np.array(leaf) for leaf in level)
        self.max_steps, self.dig_steps = max_steps, dig_steps
        height, width = self.tiles.shape
        self.view_size = 2 * max(height - 2, width - 2) - 1 if view_size == "full" else view_size
        self.position = [self._spawn(agent, num_agents, 0) for agent in range(num_agents)]
        self.busy = [0] * num_agents
        self.visits = [0] * num_agents
        self.last_action = [NO_ACTION] * num_agents
        self.reward = [0.0] * num_agents
        self.time = 0

    def _spawn(self, agent, num_agents, visits):
        row, column = self.spawns[(agent + visits * num_agents) % len(self.spawns)]
        return int(row), int(column)

    def step(self, actions):
        before = self.tiles.copy()
        self.time += 1
        self.found = {}  # which goal an agent found in this step
        for agent, action in enumerate(actions):
            known = action in MOVES
            self.last_action[agent] = action if known else NO_ACTION
            self.reward[agent] = 0.0
            if self.busy[agent]:
                self.busy[agent] -= 1
            elif known:
                self._move(agent, MOVES[action], before)
        if self.found:
            self._answer()

    def _answer(self):
        num_agents = len(self.position)
        if self.task == "tour":
            for goal in self.found.values():
                self.tiles[goal] = FLOOR
            if any(self.tiles[tuple(goal)] == GOAL for goal in self.goals):
                return
            for goal in self.goals:
                self.tiles[tuple(goal)] = GOAL
        for agent in self.found:
            self.tours[agent] += 1
            count = self.tours[agent] if self.task == "tour" else self.visits[agent]
            self.position[agent] = self._spawn(agent, num_agents, count)
        if self.task == "goal moves":
            self._move_goal()

    def _move_goal(self):
        number = len(self.spawns)
        order = [(-sum(self.visits) - i) % number for i in range(number)]
        cells = [tuple(int(x) for x in self.spawns[i]) for i in order]
        cells = [cell for cell in cells if cell not in self.position]
        if cells:
            self.tiles[tuple(self.goals[0])] = FLOOR
            self.goals = np.array([cells[0]], np.int32)
            self.tiles[cells[0]] = GOAL

    def _move(self, agent, move, before):
        row, column = self.position[agent]
        target = row + move[0], column + move[1]
        tile = before[target]
        if tile == FLOOR:
            self.position[agent] = target
        elif tile == GOAL:
            self.reward[agent] = 1.0
            self.visits[agent] += 1
            self.position[agent] = target
            self.found[agent] = target
        elif tile == ROCK and self.dig_steps:
            self.tiles[target] = FLOOR
            self.busy[agent] = self.dig_steps

    def view(self, agent):
        half = self.view_size // 2
        height, width = self.tiles.shape
        row, column = self.position[agent]
        seen = np.full((self.view_size, self.view_size), WALL, np.uint8)
        for i in range(max(0, row - half), min(height, row + half + 1)):
            for j in range(max(0, column - half), min(width, column + half + 1)):
                seen[i - row + half, j - column + half] = self.tiles[i, j]
        for i, j in self.position:
            if abs(i - row) <= half and abs(j - column) <= half:
                seen[i - row + half, j - column + half] = AGENT
        return seen

    def towards(self, agent):
        """Rows and columns to the nearest goal there is, in sides of the interior."""
        if not self.compass:
            return np.zeros(0, np.float32)
        scale = np.float32(1 / (max(self.tiles.shape) - 2))
        offsets = [
            goal - np.array(self.position[agent])
            for goal in self.goals
            if self.tiles[tuple(goal)] == GOAL
        ]
        offset = min(offsets, key=lambda offset: np.abs(offset).max(), default=np.zeros(2))
        return offset.astype(np.float32) * scale

    def state(self):
        tours = {"tours": np.array(self.tours, np.int32)}
        return {
            "world": {
                "tiles": self.tiles.astype(np.uint8),
                "position": np.array(self.position, np.int32),
                "busy": np.array(self.busy, np.int32),
            },
            "goals": self.goals,
            "spawns": self.spawns,
            "task": tours if self.task == "tour" else (),
            "visits": np.array(self.visits, np.int32),
            "last_action": np.array(self.last_action, np.int32),
            "last_reward": np.array(self.reward, np.float32),
            "time": np.int32(self.time),
        }

    def timestep(self):
        num_agents = len(self.position)
        return {
            "obs": {
                "view": np.stack([self.view(agent) for agent in range(num_agents)]),
                "last_action": np.array(self.last_action, np.int32),
                "last_reward": np.array(self.reward, np.float32),
                "compass": np.stack([self.towards(agent) for agent in range(num_agents)]),
            },
            "reward": np.array(self.reward, np.float32),
            "terminated": np.zeros(num_agents, bool),
            "truncated": np.full(num_agents, self.time >= self.max_steps),
            "time": np.full(num_agents, self.time, np.int32),
            "events": (),
        }


def distances(passable, goal):
    """Steps from every cell to the goal, -1 where there is no way; breadth first."""
    steps = np.full(passable.shape, -1)
    steps[goal] = 0
    queue = deque([goal])
    while queue:
        row, column = queue.popleft()
        for move in MOVES.values():
            cell = row + move[0], column + move[1]
            inside = 0 <= cell[0] < passable.shape[0] and 0 <= cell[1] < passable.shape[1]
            if inside and passable[cell] and steps[cell] < 0:
                steps[cell] = steps[row, column] + 1
                queue.append(cell)
    return steps


def regions(free):
    """The connected regions of a set of cells, each as bool[H, W]."""
    left, found = free.copy(), []
    while left.any():
        seed = tuple(int(i) for i in np.argwhere(left)[0])
        found.append(distances(free, seed) >= 0)
        left &= ~found[-1]
    return found


def flood(seed, free):
    """What steps through free cells reach from the seed, for a whole batch, bool[N, H, W <= 64].

    A row is one 64-bit number, so that ten thousand maps take a second.
    """
    bit = np.uint64(1) << np.arange(free.shape[2], dtype=np.uint64)
    seed, free = ((cells * bit).sum(axis=2, dtype=np.uint64) for cells in (seed, free))
    one, reached = np.uint64(1), seed
    while True:
        grown = reached | reached << one | reached >> one
        grown[:, 1:] |= reached[:, :-1]
        grown[:, :-1] |= reached[:, 1:]
        grown = (grown & free) | seed
        if (grown == reached).all():
            return (reached[:, :, None] & bit) != 0
        reached = grown


def guided_walk(level, num_agents, dig_steps, num_steps):
    """Actions i32[T, A] of agents that head for the first goal, with a stray step now and then.

    Uniformly random agents hardly ever find a goal, and would leave the reward rules untried.
    """
    twin = Twin(level, num_agents, 3, num_steps, dig_steps)
    passable = (twin.tiles != WALL) if dig_steps else (twin.tiles != WALL) & (twin.tiles != ROCK)
    steps = distances(passable, tuple(int(i) for i in level.goals[0]))
    walk = np.zeros((num_steps, num_agents), np.int32)
    for time in range(num_steps):
        for agent, (row, column) in enumerate(twin.position):
            nearer = [a for a, (i, j) in MOVES.items() if steps[row + i, column + j] >= 0]
            nearer.sort(key=lambda a: steps[row + MOVES[a][0], column + MOVES[a][1]])
            stray = (time + 3 * agent) % 7 == 0
            walk[time, agent] = time // 7 % 6 - 1 if stray else nearer[0]
        twin.step(walk[time].tolist())
    return walk
