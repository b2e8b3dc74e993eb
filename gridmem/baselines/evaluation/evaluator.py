"""Evaluation of agents: episodes in all scenarios, summarized as a report."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, UInt8

from gridmem.baselines.agent import Agent
from gridmem.baselines.evaluation.report import PlayerName, Report, Row
from gridmem.baselines.evaluation.rollouts import Player, play_levels, play_to_end
from gridmem.baselines.evaluation.scenarios import (
    Scenario,
    crowded_scenario,
    fresh_scenario,
    held_out_scenario,
    other_scenario,
    own_scenario,
)
from gridmem.baselines.method import Method
from gridmem.envs.analysis.metrics import Episodes, episode_stats, measure
from gridmem.envs.env import Env
from gridmem.envs.environment import evaluation_keys


class Entry(NamedTuple):
    """One row to be evaluated."""

    agent: str
    player: PlayerName
    scenario: Scenario

    def play(self, method: Method | None, params: Any, key: Key[Array, ""], replayed: bool) -> Row:
        """The row of its episodes.

        Args:
            method: of the agent; None without one.
            params: of the agent; () without one.
            key: source of the player's randomness.
            replayed: measure GridMem's own environments by replays, instead of by rewards alone.
        """
        player = Player(method, self.player == "greedy", self.player == "memory wiped")
        env, levels = self.scenario.env, self.scenario.levels
        actions: UInt8[np.ndarray, "N T A"] | None = None
        if not isinstance(env, Env):
            episodes: Episodes = play_to_end(env, player, params, levels, key)
        else:
            played = play_levels(env, player, params, levels, key)
            actions = np.asarray(played.action)
            if replayed:
                episodes = measure(env, levels, played.action)
            else:
                stats = episode_stats(jnp.swapaxes(played.reward, 0, 1))
                first = jnp.minimum(stats.first_find_steps, played.length)
                episodes = stats._replace(first_find_steps=first)
        return Row.of(*self, actions, jax.device_get(episodes))


def evaluate_agents(
    agents: Mapping[str, Agent],
    num_levels: int | None,
    seed: int,
    progress: Callable[[str], None],
    ids: Sequence[str] = (),
    crowds: Sequence[int] = (),
) -> Report:
    """Evaluates agents on stored test levels and fresh ones, beside random actions and controls.

    Agents of equal shape share their compiled functions.

    Args:
        agents: name -> agent.
        num_levels: of each scenario; None for 1,000, or 256 where episodes are long.
        seed: of the players' random draws; levels do not depend on it.
        progress: called with a line of text before each row.
        ids: further environments for each agent.
        crowds: further numbers of agents in a cave, likewise.

    Raises:
        ValueError: for an invalid id or number, before any episode.
    """
    entries = [
        entry
        for name, agent in agents.items()
        for entry in _entries(name, agent, num_levels or _num_levels(agent), ids, crowds)
    ]
    entries = list(dict.fromkeys(entries))  # agents share the rows of random actions
    key, rows = jax.random.key(seed), []
    for number, entry in enumerate(entries, 1):
        player, scenario = " ".join(filter(None, entry[:2])), entry.scenario
        progress(f"{number} of {len(entries)}: {player}, {scenario.about}, {scenario.kind} levels")
        agent = agents.get(entry.agent)
        method, params = (None, ()) if agent is None else (agent.method.acting, agent.params)
        rows.append(entry.play(method, params, key, replayed=True))
    return Report(rows, seed)


def evaluate_held_out(method: Method, params: Mapping[str, Any], num_levels: int) -> Report:
    """Evaluates agents of one method on held-out levels, by rewards alone.

    Args:
        method: of the agents, with the environment as its source.
        params: name -> parameters of an agent.
        num_levels: to play, one episode each.

    Returns:
        rows of each agent's sampled and greedy actions, then that of random actions.
    """
    env = method.source
    scenario = held_out_scenario(method.config.env.env_id, env, num_levels)
    _, key = evaluation_keys()
    players: tuple[PlayerName, ...] = ("sampled", "greedy")
    entries = [Entry(name, player, scenario) for name in params for player in players]
    rows = []
    for entry in [*entries, Entry("", "random", scenario)]:
        agent = (method, params[entry.agent]) if entry.agent else (None, ())
        rows.append(entry.play(*agent, key, replayed=False))
    return Report(rows, None)


def _num_levels(agent: Agent) -> int:
    return 256 if hasattr(agent.env, "evaluation_steps") else 1000


def _entries(
    name: str, agent: Agent, num_levels: int, ids: Sequence[str], crowds: Sequence[int]
) -> list[Entry]:
    own = own_scenario(agent, num_levels)
    others = [other_scenario(agent, id, num_levels) for id in ids]
    others += [crowded_scenario(agent, number, num_levels) for number in crowds]
    entries = [
        Entry("", "random", own),
        Entry(name, "sampled", own),
        Entry(name, "greedy", own),
    ]
    if isinstance(agent.env, Env) and agent.method.can_forget:
        entries.append(Entry(name, "memory wiped", own))
    if own.kind == "test" or isinstance(agent.env, Env):
        entries.append(Entry(name, "sampled", fresh_scenario(agent, num_levels)))
    for scenario in others:
        entries += [Entry("", "random", scenario), Entry(name, "sampled", scenario)]
    return entries
