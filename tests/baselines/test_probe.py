from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import probe
import pytest
import tiny
from flax import nnx

from gridmem.baselines.model.policy import model_policy
from gridmem.baselines.ppo.learner import update
from gridmem.envs.batch.rollout import play
from gridmem.envs.types import Action, Tile

WALK = [Action.RIGHT] * probe.CORRIDOR
STEPS = probe.STEPS
CHOICE = probe.CORRIDOR  # the time at which the agent stands at the junction
NUM_EPISODES = 512
CONFIG = tiny.config(
    env={"view_size": 3, "max_steps": STEPS},
    model={"num_layers": 1, "width": 32, "ff_width": 32, "num_heads": 2, "head_dim": 16},
    # What a choice leads to comes at once. Entropy keeps both arms in play until the cue is read.
    method={
        "num_envs": 256,
        "num_minibatches": 4,
        "gamma": 0.5,
        "td_lambda": 0.5,
        "entropy_coef": 0.25,
    },
    optimizer={"learning_rate": 3e-3},
)


@partial(jax.jit, static_argnums=0)
def walked(env, level, actions):
    """All timesteps of an episode."""
    state, first = env.start(jax.tree.map(jnp.asarray, level))
    later = jax.lax.scan(lambda state, action: env.step(state, action[None]), state, actions)[1]
    return jax.tree.map(lambda one, more: jnp.concatenate([one[None], more]), first, later)


def walk(cue, arm):
    timesteps = walked(probe.ENV, probe.LEVELS[cue], np.array([*WALK, arm, arm], np.int32))
    return jax.tree.map(np.asarray, timesteps)


def test_at_the_choice_nothing_tells_the_cues_apart():
    up, down = (walk(cue, Action.UP).obs for cue in probe.LEVELS)
    for name in up._fields:
        one, other = (getattr(obs, name) for obs in (up, down))
        # Two cells on, the cue is out of view; everything is the same until the arm is entered.
        np.testing.assert_array_equal(one[2 : CHOICE + 1], other[2 : CHOICE + 1])
    assert (up.view[0] != down.view[0]).any()
    assert (up.view[0] == Tile.ROCK).sum() == (down.view[0] == Tile.ROCK).sum() == 1
    # At the junction both arms are open and empty.
    assert up.view[CHOICE, 0].tolist() == [[1, 0, 1], [0, 4, 1], [1, 0, 1]]


def test_in_the_corridor_only_the_way_forward_advances():
    for time in range(CHOICE):
        for other in (Action.UP, Action.DOWN, Action.LEFT):
            actions = np.array(
                [*WALK[:time], other, *[Action.RIGHT] * (STEPS - time - 1)], np.int32
            )
            paid = walked(probe.ENV, probe.LEVELS[Action.UP], actions).reward[: time + 2, 0]
            assert paid.tolist() == [0.0] + [1.0] * time + [0.0]


@pytest.mark.parametrize("cue", probe.LEVELS)
def test_the_cue_tells_which_arm_pays(cue):
    wrong = Action.UP if cue == Action.DOWN else Action.DOWN
    assert walk(cue, cue).reward.sum() == probe.CORRIDOR + 1
    assert walk(cue, wrong).reward.sum() == probe.CORRIDOR
    for arm in (cue, wrong):
        assert walk(cue, arm).truncated[:, 0].tolist() == [False] * STEPS + [True]


@partial(jax.jit, static_argnums=0)
def returns(graphdef, params):
    levels = jax.vmap(probe.ENV.generate)(jax.random.split(jax.random.key(0), NUM_EPISODES))
    policy = model_policy(nnx.merge(graphdef, params))
    return play(probe.ENV, policy, levels, jax.random.key(1)).rollout.reward.sum(axis=0)


def solved(config, num_updates):
    """The share of episodes in which a trained agent takes the way that the cue says."""
    config = replace(config, total_steps=num_updates * config.steps_per_update)
    graphdef, learner = tiny.start(config, probe.ENV)
    for _ in range(num_updates):
        learner, _ = update(config, probe.ENV, graphdef, learner)
    reached = np.asarray(returns(graphdef, learner.params))
    assert (reached >= probe.CORRIDOR).mean() > 0.9  # whoever they are, they learn to walk
    return (reached > probe.CORRIDOR).mean()


@pytest.mark.slow
def test_memory_solves_it():
    assert solved(CONFIG, 150) > 0.9


@pytest.mark.slow
def test_without_memory_half_of_the_choices_are_wrong():
    config = replace(CONFIG, model=replace(CONFIG.model, mixer="none"))
    assert 0.35 < solved(config, 150) <= 0.65


@pytest.mark.slow
def test_memory_reaches_across_rollouts():
    # The cue is seen at times 0 and 1; no rollout of three steps has it and the choice, at 6.
    config = replace(CONFIG, method=replace(CONFIG.ppo, rollout_steps=3))
    assert solved(config, 1000) > 0.9
