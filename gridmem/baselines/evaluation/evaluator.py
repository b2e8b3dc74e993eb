"""Agents at play on their courses."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Key

from gridmem.baselines.agent import Agent
from gridmem.baselines.evaluation.report import PlayerName, Report, Row
from gridmem.baselines.evaluation.rollouts import Player, play_levels
from gridmem.baselines.evaluation.scenarios import (
    Course,
    crowded_course,
    fresh_course,
    other_course,
    own_course,
)
from gridmem.envs.analysis.metrics import measure, ratios, summary
from gridmem.envs.analysis.score import ratio_intervals, score


class Entry(NamedTuple):
    """Somebody and what they are to play."""

    agent: str
    player: PlayerName
    course: Course


def examine(
    agents: Mapping[str, Agent],
    num_levels: int,
    seed: int,
    tell: Callable[[str], None],
    ids: Sequence[str] = (),
    crowds: Sequence[int] = (),
) -> Report:
    """Plays everything, agents of equal shape with the same compiled functions.

    Args:
        agents: name -> agent.
        num_levels: on each course.
        seed: source of what players draw; none of the levels.
        tell: is told what is being played.
        ids: environments to which each agent is to transfer.
        crowds: numbers of agents in a cave, likewise.

    Raises:
        ValueError: for an id or a number that cannot be, before anything is played.
    """
    asked = [
        entry
        for name, agent in agents.items()
        for entry in _entries(name, agent, num_levels, ids, crowds)
    ]
    wanted = list(dict.fromkeys(asked))  # random actions are asked for with every agent
    key, rows = jax.random.key(seed), []
    for number, entry in enumerate(wanted, 1):
        who = " ".join(filter(None, (entry.agent, entry.player)))
        tell(f"{number} of {len(wanted)}: {who}, {entry.course.about}, {entry.course.kind} levels")
        rows.append(_played(entry, agents.get(entry.agent), key))
    return Report(rows, seed)


def _entries(
    name: str, agent: Agent, num_levels: int, ids: Sequence[str], crowds: Sequence[int]
) -> list[Entry]:
    own, fresh = own_course(agent, num_levels), fresh_course(agent, num_levels)
    others = [other_course(agent, id, num_levels) for id in ids]
    others += [crowded_course(agent, number, num_levels) for number in crowds]
    entries = [
        Entry("", "random", own),
        Entry(name, "sampled", own),
        Entry(name, "greedy", own),
        Entry(name, "memory wiped", own),
        Entry(name, "sampled", fresh),
    ]
    for course in others:
        entries += [Entry("", "random", course), Entry(name, "sampled", course)]
    return entries


def _played(entry: Entry, agent: Agent | None, key: Key[Array, ""]) -> Row:
    course, player, params = entry.course, Player(), ()
    if agent is not None:
        forgetful = entry.player == "memory wiped"
        player = Player(agent.graphdef, entry.player == "greedy", forgetful)
        params = agent.params
    actions = play_levels(course.env, player, params, course.levels, key).action
    episodes = jax.device_get(measure(course.env, course.levels, actions))
    scored = None if course.why_no_score else score(course.id, episodes.episode_return)
    terms = ratios(episodes)
    above, below = (np.stack(side) for side in zip(*terms.values(), strict=True))
    intervals = dict(zip(terms, ratio_intervals(above, below), strict=True))
    return Row(*entry, np.asarray(actions), episodes, summary(episodes), intervals, scored)
