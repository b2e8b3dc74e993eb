import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small
from flax import nnx

from gridmem.baselines.model.action_heads import gaussian_mean, squashed_gaussian, to_box
from gridmem.baselines.model.windows import Window
from gridmem.baselines.offpolicy.replay_buffer import Batch
from gridmem.envs.environment import Box

SAMPLES = 4


def batch_of(method, seed=0):
    rng, context = np.random.default_rng(seed), method.settings.context
    shapes = {part.name: part.shape for part in method.source.parts}

    def window():
        obs = {
            name: jnp.asarray(rng.normal(size=(SAMPLES, context, *shape)), jnp.float32)
            for name, shape in shapes.items()
        }
        return Window(obs, jnp.ones((SAMPLES, context), bool))

    action = jnp.asarray(rng.uniform(-1, 1, (SAMPLES, 1)), jnp.float32)
    reward = jnp.arange(SAMPLES, dtype=jnp.float32)
    terminated = jnp.array([False, True, False, False])
    return Batch(window(), action, reward, terminated, window())


def made(name, **changes):
    method = small.config(name, **changes).make_method()
    return method, jax.jit(method.new_networks)(jax.random.key(0)), batch_of(method)


def test_the_target_of_td3():
    method, networks, batch = made("td3", target_noise=0.0, gamma=0.9)
    target = method.target(method.actor_def, networks, batch, jax.random.key(0))
    action = jnp.tanh(nnx.merge(method.actor_def, networks.actor_target)(batch.next_window))
    critics = nnx.merge(method.critics_def, networks.critics_target)
    values = np.asarray(critics(batch.next_window, action))
    expected = np.arange(SAMPLES) + 0.9 * values.min(axis=0) * [1, 0, 1, 1]
    np.testing.assert_allclose(target, expected, atol=1e-6)


def test_the_noise_of_its_target_is_clipped():
    method, networks, batch = made("td3", target_noise=50.0, target_noise_clip=0.0)
    quiet, _, _ = made("td3", target_noise=0.0)
    key = jax.random.key(0)
    np.testing.assert_allclose(
        method.target(method.actor_def, networks, batch, key),
        quiet.target(quiet.actor_def, networks, batch, key),
        atol=1e-6,
    )


def test_the_loss_of_both_critics_and_that_of_the_actor():
    method, networks, batch = made("td3")
    target = jnp.full((SAMPLES,), 2.0)
    critics = nnx.merge(method.critics_def, networks.critics)
    values = np.asarray(critics(batch.window, batch.action))
    _, _, metrics = method.step_critics(networks.critics, networks.critics_opt, batch, target)
    errors = ((values - 2) ** 2).mean(axis=1)
    assert float(metrics["critic_loss"]) == pytest.approx(errors.sum(), rel=1e-5)
    _, of_actor = method.learn_policy(method.actor_def, networks, batch)
    action = jnp.tanh(nnx.merge(method.actor_def, networks.actor)(batch.window))
    value = np.asarray(critics(batch.window, action))[0].mean()
    assert float(of_actor["actor_loss"]) == pytest.approx(-value, rel=1e-5)


def test_the_actor_learns_half_as_often_and_targets_follow():
    method, networks, batch = made("td3", tau=0.25)
    after, _ = method.learn_critics(method.actor_def, networks, batch, jax.random.key(0))
    assert after.actor is networks.actor
    assert after.critics_target is networks.critics_target
    moved, _ = method.learn_policy(method.actor_def, after, batch)
    for new, target, old in zip(
        jax.tree.leaves(moved.critics),
        jax.tree.leaves(moved.critics_target),
        jax.tree.leaves(networks.critics_target),
        strict=True,
    ):
        np.testing.assert_allclose(target, 0.25 * new + 0.75 * old, atol=1e-6)


def test_the_density_of_a_squashed_gaussian():
    # That of the action is that of the normal number, divided by the slope of tanh.
    outputs = jnp.array([[0.3, -0.2, 0.1, -0.4]] * 1000)
    action, log_density = squashed_gaussian(outputs, jax.random.key(0))
    x = np.arctanh(np.asarray(action, np.float64))
    mean, std = np.array([0.3, -0.2]), np.exp(np.array([0.1, -0.4]))
    normal = np.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))
    expected = np.log(normal / (1 - np.tanh(x) ** 2)).sum(axis=1)
    near = np.abs(x).max(axis=1) < 3  # beyond, float32 has too few digits of the action
    np.testing.assert_allclose(np.asarray(log_density)[near], expected[near], atol=1e-3)
    np.testing.assert_allclose(gaussian_mean(outputs)[0], np.tanh(mean), atol=1e-6)


def test_the_target_and_the_losses_of_sac():
    method, networks, batch = made("sac", gamma=0.9, temperature=0.5)
    key = jax.random.key(3)
    actor = nnx.merge(method.actor_def, networks.actor)
    action, log_density = squashed_gaussian(actor(batch.next_window), key)
    values = nnx.merge(method.critics_def, networks.critics_target)(batch.next_window, action)
    soft = np.asarray(values).min(axis=0) - 0.5 * np.asarray(log_density)
    expected = np.arange(SAMPLES) + 0.9 * soft * [1, 0, 1, 1]
    np.testing.assert_allclose(method.target(networks, batch, key), expected, atol=1e-5)
    _, densities, loss = method.step_actor(networks, batch, key)
    action, log_density = squashed_gaussian(actor(batch.window), key)
    values = nnx.merge(method.critics_def, networks.critics)(batch.window, action)
    expected = np.mean(0.5 * np.asarray(log_density) - np.asarray(values).min(axis=0))
    assert float(loss) == pytest.approx(expected, abs=1e-5)
    # The temperature rises where the entropy is below minus the number of coordinates.
    for density, rises in ((2.0, True), (-2.0, False)):
        after = method.step_temperature(networks, jnp.full((SAMPLES,), density))
        assert bool(after.log_temperature > networks.log_temperature) is rises
    np.testing.assert_allclose(densities, log_density, atol=1e-5)


def test_actions_in_the_units_of_the_environment():
    box = Box((-2.0, 0.0), (2.0, 1.0))
    actions = to_box(box, jnp.array([[-1.0, -1.0], [0.0, 0.0], [1.0, 1.0]]))
    np.testing.assert_allclose(actions, [[-2, 0], [0, 0.5], [2, 1]])
