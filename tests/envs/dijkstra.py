"""Shortest paths once more, slow and plain, with a heap; and episodes watched with them."""

import heapq
from functools import lru_cache

import numpy as np
from twin import FLOOR, GOAL, MOVES, NO_ACTION, ROCK, Twin

INF = 2**29


def cost(tile, dig_steps):
    """Steps that it takes to be in a cell; None if that cannot be."""
    if tile in (FLOOR, GOAL):
        return 1
    return dig_steps + 2 if tile == ROCK and dig_steps else None


def distances(tiles, dig_steps):
    """Steps to the nearest goal from every cell that can be entered; INF elsewhere."""
    height, width = tiles.shape
    steps = np.full(tiles.shape, INF, np.int32)
    heap = [(0, int(row), int(column)) for row, column in np.argwhere(tiles == GOAL)]
    while heap:
        so_far, row, column = heapq.heappop(heap)
        if so_far >= steps[row, column]:
            continue
        steps[row, column] = so_far
        for down, right in MOVES.values():
            i, j = row + down, column + right
            if 0 <= i < height and 0 <= j < width and cost(tiles[i, j], dig_steps):
                heapq.heappush(heap, (so_far + cost(tiles[row, column], dig_steps), i, j))
    return steps


@lru_cache(1000)
def remembered(tiles, shape, dig_steps):
    """`distances`, of tiles that are likely to be asked for again."""
    return distances(np.frombuffer(tiles, np.uint8).reshape(shape), dig_steps)


def by_move(tiles, position, dig_steps):
    """Steps to the nearest goal by each first move."""
    steps = remembered(tiles.tobytes(), tiles.shape, dig_steps)
    cells = [(position[0] + down, position[1] + right) for down, right in MOVES.values()]
    costs = [cost(tiles[cell], dig_steps) for cell in cells]
    return [min(c + steps[cell], INF) if c else INF for c, cell in zip(costs, cells, strict=True)]


def watched(level, num_agents, view_size, max_steps, dig_steps, task, seed, stray=0.3):
    """An episode of agents that mostly head for a goal: its actions, and what each step led to.

    Returns:
        actions [T, A], and a dict of lists like the fields of `Trace`, each [T, A].
    """
    rng = np.random.default_rng(seed)
    twin = Twin(level, num_agents, view_size, max_steps, dig_steps, task)
    agents = range(num_agents)
    seen = [in_view(twin, agent) for agent in agents]
    actions = np.zeros((max_steps, num_agents), np.int32)
    traced = {name: [] for name in ("reward", "shortest", "unseen", "dug", "bumped")}
    for time in range(max_steps):
        for agent in agents:
            ways = by_move(twin.tiles, twin.position[agent], dig_steps)
            best = int(np.argmin(ways)) if min(ways) < INF else NO_ACTION
            actions[time, agent] = rng.integers(-1, 6) if rng.random() < stray else best
        able = [busy == 0 for busy in twin.busy]
        before, tiles = list(twin.position), twin.tiles.copy()
        twin.step(actions[time].tolist())
        rows = {name: [] for name in traced}
        for agent in agents:
            move = MOVES.get(int(actions[time, agent]))
            tried = able[agent] and move is not None
            target = (before[agent][0] + move[0], before[agent][1] + move[1]) if tried else None
            found = agent in twin.found
            dug = tried and tiles[target] == ROCK and dig_steps > 0
            blocked = tried and cost(tiles[target], dig_steps) is None
            shortest = min(by_move(twin.tiles, twin.position[agent], dig_steps)) if found else 0
            seen[agent] = (seen[agent] and not found) or in_view(twin, agent)
            row = [float(found), shortest if shortest < INF else 0, not seen[agent], dug, blocked]
            for name, value in zip(rows, row, strict=True):
                rows[name].append(value)
        for name, row in rows.items():
            traced[name].append(row)
    return actions, traced


def in_view(twin, agent):
    """Whether a goal is within the agent's square."""
    row, column = twin.position[agent]
    half = twin.view_size // 2
    square = twin.tiles[
        max(0, row - half) : row + half + 1, max(0, column - half) : column + half + 1
    ]
    return bool((square == GOAL).any())
