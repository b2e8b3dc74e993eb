"""Caves that grow: which levels there are when, how far they have grown, and the run around it."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import saved_runs

import gridmem
from gridmem.baselines import train
from gridmem.baselines.config import EnvSettings, TrainConfig
from gridmem.baselines.ppo.curriculum import GrowingEnv
from gridmem.baselines.ppo.settings import CurriculumConfig
from gridmem.baselines.runs.history import with_scores
from gridmem.baselines.training import loop
from gridmem.envs.types import Tile

SETTINGS = CurriculumConfig(grow_steps=1000, start_side=5, start_max_steps=4, start_distance=2)
KEYS = jax.random.split(jax.random.key(0), 64)


def growing(share, env):
    return GrowingEnv(env, SETTINGS, jnp.float32(share))


def drawn(share):
    """The sides and steps of levels of caves of 9 x 9 cells that have grown so far."""
    levels = jax.vmap(growing(share, gridmem.make("GridMem-9x9-v0", max_steps=16)).generate)(KEYS)
    inside = np.array(levels.level.tiles) != Tile.WALL
    rows = np.where(inside.any(axis=2), np.arange(11), 0).max(axis=1)
    return rows, np.array(levels.max_steps)


@pytest.mark.parametrize(
    ("share", "sides", "steps"),
    [(0, (5, 5), (4, 4)), (0.25, (5, 7), (4, 10)), (0.75, (7, 9), (10, 16))],
)
def test_sizes_are_between_bounds_that_rise_one_after_the_other(share, sides, steps):
    rows, max_steps = drawn(share)
    assert sides[0] <= np.median(rows)  # in some levels the last rows are wall
    assert rows.max() == sides[1]
    assert (max_steps.min(), max_steps.max()) == steps


def test_caves_that_have_grown_are_those_of_the_id():
    env = gridmem.make("GridMem-9x9-v0", max_steps=16)
    levels = jax.vmap(growing(1, env).generate)(KEYS)
    jax.tree.map(np.testing.assert_array_equal, levels.level, jax.vmap(env.generate)(KEYS))
    assert (levels.max_steps == 16).all()


def test_an_episode_ends_after_the_steps_of_its_level():
    env = growing(0, gridmem.make("GridMem-9x9-v0", max_steps=16))
    state, timestep = env.reset(KEYS[0])
    ends = []
    for _ in range(4):
        state, timestep = env.step(state, jnp.array([0]))
        ends.append(bool(timestep.done[0]))
    assert ends == [False, False, False, True]
    assert not env.has_fixed_length
    longer = replace(SETTINGS, start_max_steps=None)
    assert GrowingEnv(env.env, longer, env.share).has_fixed_length


@pytest.mark.parametrize("rollout_steps", [6, pytest.param(None, marks=pytest.mark.slow)])
def test_a_resumed_run_grows_on_bit_for_bit(rollout_steps, tmp_path, monkeypatch, capfd):
    words = (
        "--env-id GridMem-9x9-v0 --max-steps 16 --num-envs 8 --num-minibatches 2 --num-layers 1 "
        "--width 16 --ff-width 16 --eval-levels 0 --grow-steps 300 --start-side 5 "
        f"--start-max-steps 8 --total-steps 512 --rollout-steps {rollout_steps}"
    )
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert saved_runs.run(train, capfd, f"{words} --run-dir {whole}")[0] == 0
    rows, played = saved_runs.rows_of(whole), 8 * (rollout_steps or 16)
    ago = 0 if rollout_steps is None else 3  # updates of 6 steps, in an episode of at most 16
    expected = [min(max(number - ago, 0) * played / 300, 1) for number in range(len(rows))]
    assert [row["growth"] for row in rows] == pytest.approx(expected)
    assert rows[-1]["growth"] == 1

    stopping = loop.Run._update

    def update(run, stage, first):
        if run._num_updates == 2:
            raise KeyboardInterrupt
        return stopping(run, stage, first)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Run, "_update", update)
        flags = f"--checkpoint-seconds 0 --run-dir {parts}"
        saved_runs.run(train, capfd, f"{words} {flags}")
    assert len(saved_runs.rows_of(parts)) == 2
    assert saved_runs.run(train, capfd, f"--resume {parts}")[0] == 0
    assert saved_runs.rows_of(parts) == rows


def test_episodes_in_smaller_caves_have_no_score():
    rows = [{"episode_return": 5.0, "growth": growth} for growth in (0.5, 1.0)]
    rows = with_scores(TrainConfig(env=EnvSettings("GridMem-9x9-v0")), rows)
    assert ["score" in row for row in rows] == [False, True]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--start-side 7", "the caves do not grow; give --grow-steps"),
        ("--grow-steps 100 --start-side 4", "from 5 to the 9 of GridMem-9x9-v0"),
        ("--grow-steps 100 --start-side 10", "from 5 to the 9 of GridMem-9x9-v0"),
        ("--grow-steps 100 --start-side 5 --num-agents 4", "too few for 5 goals and agents"),
        ("--grow-steps 100 --start-max-steps 999", "it must be at most 256 for GridMem-9x9-v0"),
        ("--grow-steps 100 --start-distance 19", "it must be at most 18 for GridMem-9x9-v0"),
        ("--grow-steps 100", "the first caves are those of GridMem-9x9-v0; give a --start-side"),
        (
            "--grow-steps 99000 --start-side 5 --total-steps 100000",
            "it must be at most 98304 of the 100000 total_steps",
        ),
        ("--grow-steps 100 --teacher oracle", "the oracle does not teach in caves that grow"),
        (
            "--grow-steps 100 --env-id GridMem-9x9-v0+GridMem-13x13-v0 --rollout-steps 8",
            "caves grow in one environment",
        ),
        ("--grow-steps 100 --env-id Pendulum-v1", "only caves of noise can grow"),
    ],
)
def test_caves_that_cannot_grow_are_refused_in_one_sentence(words, sentence, capfd):
    code, _, err = saved_runs.run(train, capfd, f"{words} --plan")
    assert code == 2
    assert sentence in err
