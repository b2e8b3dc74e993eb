"""What a user writes, for the type checker: `uv run pyright` reads this file, nothing runs it."""

from typing import Any, assert_type

import gymnasium
import jax
import numpy as np
from pettingzoo import AECEnv

import gridmem


def in_jax() -> None:
    env = gridmem.make("GridMem-v0", num_agents=2, view_size=7, goal_moves=True)
    assert_type(env, gridmem.Env)
    level = env.generate(jax.random.key(0))
    state, timestep = env.start(level)
    state, timestep = env.step(state, jax.numpy.zeros(2, jax.numpy.int32))
    assert_type(state, gridmem.State)
    assert_type(timestep, gridmem.TimeStep)
    reward: jax.Array = timestep.reward + timestep.obs.view.sum()
    assert_type(timestep.obs, gridmem.Observation)
    print(reward, env.config.map.height, gridmem.Tile.GOAL, gridmem.Action.UP)


def configs() -> gridmem.Env:
    picture = gridmem.TextMap(("#####", "#0.G#", "#####"))
    config = gridmem.EnvConfig(map=picture, task=gridmem.Tour(num_goals=1), view_size="full")
    return gridmem.Env(config)


def levels() -> gridmem.Score:
    env = gridmem.make("GridMem-9x9-v0")
    stored = gridmem.levels("GridMem-9x9-v0")
    own = gridmem.make_level(["#####", "#0.G#", "#####"])
    gridmem.make_level(np.ones((3, 4), np.uint8), spawns=[(1, 1)], seed=3)
    digest: str = gridmem.save_levels("levels.npz", stored)
    assert_type(gridmem.load_levels("levels.npz", digest), gridmem.Level)
    metrics = gridmem.measure(env, stored, gridmem.oracle_actions(env, stored))
    assert_type(metrics, gridmem.EpisodeMetrics)
    told: dict[str, float | None] = gridmem.summary(metrics)
    print(own, told, gridmem.ceiling(env, stored))
    return gridmem.score("GridMem-9x9-v0", metrics.episode_return)


def policies(key: jax.Array) -> None:
    env = gridmem.make("GridMem-9x9-v0")
    policy: gridmem.Policy = gridmem.reactive_policy(env)
    unrolled = gridmem.play(env, policy, gridmem.levels("GridMem-9x9-v0"), key)
    print(unrolled.rollout.action)


def faces() -> None:
    env = gridmem.RecordMetrics(gymnasium.make("GridMem-v0", observation="flat"))
    obs, info = env.reset(seed=0)
    many = gymnasium.make_vec("GridMem-v0", num_envs=8, autoreset_mode="SameStep")
    many.step(many.action_space.sample())
    together = gridmem.parallel_env("GridMem-v0", num_agents=3)
    views, infos = together.reset(seed=0)
    views, rewards, terminations, truncations, infos = together.step({"agent_0": 1})
    assert_type(rewards, dict[str, float])
    by_turns: AECEnv[Any, Any, Any] = gridmem.env("GridMem-v0")
    print(obs, info, views, terminations, truncations, infos, by_turns)
