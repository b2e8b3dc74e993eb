import pytest
import tiny

from gridmem.baselines.costs.advice import HELPFUL_SETTINGS, advice
from gridmem.baselines.costs.memory import MemoryEstimate
from gridmem.baselines.ppo import sharding

MANY = tiny.config(method={"num_envs": 256, "num_minibatches": 256})
MANY_AGENTS = tiny.config(method={"num_envs": 8, "num_minibatches": 16}, env={"num_agents": 4})
METHOD = "method"
ROLLOUTS = tiny.config(method={"rollout_steps": 6})


def at_most(part, name, most):
    def fits(config):
        settings = config.env.options if part == "env" else vars(getattr(config, part))
        return (settings.get(name) or 10**9) <= most

    return fits


def at_least(part, name, least):
    return lambda config: getattr(getattr(config, part), name) >= least


@pytest.mark.parametrize(
    ("config", "largest", "fits", "expected"),
    [
        (tiny.CONFIG, "activations", at_least(METHOD, "num_minibatches", 3), 4),
        (tiny.CONFIG, "activations", at_least(METHOD, "num_minibatches", 8), 8),
        (tiny.CONFIG, "caches", at_most(METHOD, "num_envs", 7), "lower --num-envs to 4"),
        (tiny.CONFIG, "caches", at_most(METHOD, "num_envs", 2), "lower --num-envs to 2"),
        # A minibatch is one stream at least.
        (
            MANY,
            "rollout",
            at_most(METHOD, "num_envs", 64),
            "lower --num-envs to 64 and lower --num-minibatches to 64",
        ),
        (MANY_AGENTS, "levels", at_most(METHOD, "num_envs", 4), "lower --num-envs to 4"),
        (tiny.CONFIG, "rollout_state", at_most("env", "max_steps", 5), "lower --max-steps to 4"),
        (
            tiny.CONFIG,
            "caches",
            at_most(METHOD, "rollout_steps", 8),
            "lower --rollout-steps to 8",
        ),
        (
            ROLLOUTS,
            "activations",
            at_most(METHOD, "rollout_steps", 2),
            "lower --rollout-steps to 1",
        ),
        # An episode is no shorter than a rollout.
        (ROLLOUTS, "caches", at_most("env", "max_steps", 8), "lower --max-steps to 8"),
        (ROLLOUTS, "caches", at_most("env", "max_steps", 4), None),
        (tiny.CONFIG, "parameters", at_most("model", "width", 8), "lower --width to 8"),
        (tiny.CONFIG, "optimizer", at_most("model", "ff_width", 8), "lower --ff-width to 8"),
        (tiny.CONFIG, "gradients", at_most("model", "num_layers", 1), "lower --num-layers to 1"),
        # What does not concern the largest part may help, too.
        (tiny.CONFIG, "environments", at_most("model", "width", 8), "lower --width to 8"),
        (tiny.CONFIG, "environments", lambda config: False, None),
        # What changes least comes first.
        (tiny.CONFIG, "activations", lambda config: config != tiny.CONFIG, 4),
    ],
)
def test_the_first_setting_that_helps_is_changed_as_little_as_possible(
    config, largest, fits, expected
):
    if isinstance(expected, int):
        expected = f"raise --num-minibatches to {expected}"
    assert advice(config, largest, fits) == expected


@pytest.mark.parametrize(("least", "expected"), [(2, "raise --num-minibatches to 2"), (4, None)])
def test_no_device_is_left_unused(least, expected, monkeypatch):
    monkeypatch.setattr(sharding.jax, "device_count", lambda: 8)
    config = tiny.config(method={"num_envs": 16, "num_minibatches": 1})
    assert advice(config, "activations", at_least(METHOD, "num_minibatches", least)) == expected


def test_every_part_of_the_memory_has_helpful_settings():
    assert set(HELPFUL_SETTINGS) == set(MemoryEstimate._fields)
