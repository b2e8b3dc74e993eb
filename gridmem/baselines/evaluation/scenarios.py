"""What agents are evaluated on: an environment, and levels that all of them play."""

from dataclasses import dataclass, field

import jax

from gridmem.baselines.agent import Agent
from gridmem.baselines.evaluation.rollouts import FRESH_KEY_DATA, HELD_OUT_KEY_DATA, draw_levels
from gridmem.envs.analysis.level_packs import levels as stored_levels
from gridmem.envs.analysis.score import changed_rules
from gridmem.envs.env import Env
from gridmem.envs.registry import make
from gridmem.envs.types import Level


@dataclass(frozen=True)
class Course:
    """A game to be played; equal to any other of the same id, environment and kind.

    Attributes:
        id: that of the environment.
        env: it, perhaps with other rules than the id's.
        kind: "test", the stored levels; "held-out", drawn where those do not fit; "fresh", drawn
            as in training.
        levels: numpy arrays [N, ...].
    """

    id: str
    env: Env
    kind: str
    levels: Level = field(compare=False)

    @property
    def about(self) -> str:
        """One line about the environment."""
        env = self.env
        told = [
            self.id,
            f"view {env.view_size} x {env.view_size}",
            f"{env.max_steps} steps",
            "1 agent" if env.num_agents == 1 else f"{env.num_agents} agents",
            "compass" if env.config.compass else "",
            *(rule for rule in changed_rules(self.id, env) if not rule.startswith("max_steps")),
        ]
        return ", ".join(filter(None, told))

    @property
    def why_no_score(self) -> str:
        """Why returns cannot be scored; empty if they can."""
        if changed := changed_rules(self.id, self.env):
            return f"{self.id} is played by other rules than its own: {', '.join(changed)}"
        return "" if self.kind == "test" else "scores are for the stored test levels"


def own_course(agent: Agent, num_levels: int) -> Course:
    """The stored test levels in the environment that an agent was trained in."""
    return _course(agent.env_id, agent.env, num_levels)


def fresh_course(agent: Agent, num_levels: int) -> Course:
    """Levels that are drawn as in training, from keys of which no training run knows."""
    return _drawn(agent.env_id, agent.env, "fresh", num_levels, FRESH_KEY_DATA)


def other_course(agent: Agent, id: str, num_levels: int) -> Course:
    """An id by its own rules, seen as the agent sees, with as many agents as it is used to.

    Raises:
        ValueError: for an unknown id, or one of which the agent's network cannot take the view.
    """
    config = agent.env.config
    env = make(id, view_size=config.view_size, compass=config.compass, num_agents=config.num_agents)
    if env.view_size != agent.env.view_size:
        raise ValueError(
            f"the agent of {agent.env_id} sees the whole map, {agent.env.view_size} x "
            f"{agent.env.view_size} cells; the {env.view_size} x {env.view_size} of {id} are more "
            "or fewer than its network takes"
        )
    return _course(id, env, num_levels)


def crowded_course(agent: Agent, num_agents: int, num_levels: int) -> Course:
    """The agent's own environment with more or fewer agents in a cave.

    Raises:
        ValueError: if there is no room for so many.
    """
    overrides = {**agent.config.env.overrides(), "num_agents": num_agents}
    return _course(agent.env_id, make(agent.env_id, **overrides), num_levels)


def _course(id: str, env: Env, num_levels: int) -> Course:
    own = make(id).config
    if (env.config.map, env.config.task.num_goals) != (own.map, own.task.num_goals):
        return _drawn(id, env, "held-out", num_levels, HELD_OUT_KEY_DATA)
    levels = jax.tree.map(lambda leaf: leaf[:num_levels], stored_levels(id))
    return Course(id, env, "test", levels)


def _drawn(id: str, env: Env, kind: str, num_levels: int, key_data: tuple[int, int]) -> Course:
    levels, _ = jax.device_get(draw_levels(env, num_levels, key_data))
    return Course(id, env, kind, levels)
