"""Scenarios of an evaluation: an environment and the levels that all agents play in it."""

from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from gridmem.baselines.agent import Agent
from gridmem.baselines.evaluation.rollouts import FRESH_KEY_DATA, draw_levels
from gridmem.envs.analysis.level_packs import levels as stored_levels
from gridmem.envs.analysis.score import changed_rules
from gridmem.envs.env import Env
from gridmem.envs.environment import EVALUATION_KEY_DATA, HOST_SEED, Environment, is_on_host
from gridmem.envs.registry import make


@dataclass(frozen=True)
class Scenario:
    """An environment and levels; equal to any other of the same id, environment and kind.

    Attributes:
        id: of the environment.
        env: the environment; its rules may differ from those of the id.
        kind: "test": the stored levels; "held-out": drawn from a key of their own; "fresh":
            likewise, with another key.
        levels: numpy arrays [N, ...].
    """

    id: str
    env: Any
    kind: str
    levels: Any = field(compare=False)

    @property
    def about(self) -> str:
        """One line about the environment."""
        env = self.env
        if not isinstance(env, Env):
            return f"{self.id}, {env.about}"
        parts = [
            self.id,
            f"view {env.view_size} x {env.view_size}",
            f"{env.max_steps} steps",
            "1 agent" if env.num_agents == 1 else f"{env.num_agents} agents",
            "compass" if env.config.compass else "",
            *(rule for rule in changed_rules(self.id, env) if not rule.startswith("max_steps")),
        ]
        return ", ".join(filter(None, parts))

    @property
    def why_no_score(self) -> str:
        """Why returns have no score; empty if they have one."""
        if not isinstance(self.env, Env):
            return f"{self.id} has no reference returns"
        if changed := changed_rules(self.id, self.env):
            return f"{self.id} has changed rules: {', '.join(changed)}"
        return "" if self.kind == "test" else "scores are for the stored test levels"


def own_scenario(agent: Agent, num_levels: int) -> Scenario:
    """The test levels in the environment that an agent was trained in.

    Where none are stored: `env.evaluation_levels`, or levels drawn from a key of their own.
    """
    return _scenario(agent.env_id, agent.env, num_levels)


def held_out_scenario(id: str, env: Any, num_levels: int) -> Scenario:
    """Levels that training never draws: `env.evaluation_levels`, or from a key of their own."""
    stored = getattr(env, "evaluation_levels", None)
    if stored is not None:
        return Scenario(id, env, "test", jax.device_get(stored(num_levels)))
    if is_on_host(env):
        return Scenario(id, env, "held-out", HOST_SEED + np.arange(num_levels))
    return _drawn(id, env, "held-out", num_levels, EVALUATION_KEY_DATA)


def fresh_scenario(agent: Agent, num_levels: int) -> Scenario:
    """Levels drawn as in training, from keys that no training run uses."""
    return _drawn(agent.env_id, agent.env, "fresh", num_levels, FRESH_KEY_DATA)


def other_scenario(agent: Agent, id: str, num_levels: int) -> Scenario:
    """An id by its own rules, with the view and the number of agents of the training.

    Raises:
        ValueError: for an unknown id, or one whose view does not fit the agent's network.
    """
    _check_gridmem(agent, "--on")
    config = agent.env.config
    env = make(id, view_size=config.view_size, compass=config.compass, num_agents=config.num_agents)
    if env.view_size != agent.env.view_size:
        raise ValueError(
            f"the agent of {agent.env_id} sees the whole map, {agent.env.view_size} x "
            f"{agent.env.view_size} cells; the {env.view_size} x {env.view_size} of {id} are more "
            "or fewer than its network takes"
        )
    return _scenario(id, env, num_levels)


def crowded_scenario(agent: Agent, num_agents: int, num_levels: int) -> Scenario:
    """The agent's own environment with another number of agents in a cave.

    Raises:
        ValueError: if the cave has too few cells for them.
    """
    _check_gridmem(agent, "--agents")
    overrides = {**agent.config.env.options, "num_agents": num_agents}
    return _scenario(agent.env_id, make(agent.env_id, **overrides), num_levels)


def _check_gridmem(agent: Agent, flag: str) -> None:
    if not isinstance(agent.env, Env):
        raise ValueError(f"{flag} is for GridMem's environments, and {agent.env_id} is not one")


def _scenario(id: str, env: Any, num_levels: int) -> Scenario:
    if not isinstance(env, Env):
        return held_out_scenario(id, env, num_levels)
    own = make(id).config
    if (env.config.map, env.config.task.num_goals) != (own.map, own.task.num_goals):
        return held_out_scenario(id, env, num_levels)
    levels = jax.tree.map(lambda leaf: leaf[:num_levels], stored_levels(id))
    return Scenario(id, env, "test", levels)


def _drawn(
    id: str, env: Environment, kind: str, num_levels: int, key_data: tuple[int, int]
) -> Scenario:
    levels, _ = jax.device_get(draw_levels(env, num_levels, key_data))
    return Scenario(id, env, kind, levels)
