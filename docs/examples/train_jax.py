"""Recurrent PPO in pure JAX: playing and learning are one compiled function.

python docs/examples/train_jax.py --steps 1000000 --seed 0
"""

import argparse
import time
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import lax

import gridmem

NUM_ENVS, NUM_EPOCHS, NUM_MINIBATCHES = 256, 2, 8
WIDTH, LEARNING_RATE, GAMMA, LAMBDA = 64, 2e-3, 0.97, 0.95
CLIP, ENTROPY = 0.2, 0.01


class Agent(nnx.Module):
    """What is seen, last done and last paid goes through a GRU to action logits and a value."""

    def __init__(self, env, rngs):
        self.num_actions = env.num_actions
        size = 5 * env.view_size**2 + (env.num_actions + 1) + 1
        self.encoder = nnx.Linear(size, WIDTH, rngs=rngs)
        self.memory = nnx.GRUCell(WIDTH, WIDTH, rngs=rngs)
        self.actor = nnx.Linear(WIDTH, env.num_actions, rngs=rngs)
        self.critic = nnx.Linear(WIDTH, 1, rngs=rngs)

    def __call__(self, memory, obs):
        """One step of B agents: the next memory f32[B,W], logits f32[B,4] and values f32[B]."""
        view = jax.nn.one_hot(obs.view, 5).reshape(len(memory), -1)
        action = jax.nn.one_hot(obs.last_action, self.num_actions + 1)
        x = jnp.concatenate([view, action, obs.last_reward[:, None]], axis=1)
        memory, x = self.memory(memory, nnx.relu(self.encoder(x)))
        return memory, self.actor(x), self.critic(x)[:, 0]


class Rollout(NamedTuple):
    """Steps of whole episodes, leaves [T, B, ...]."""

    obs: gridmem.Observation
    action: Any
    log_prob: Any
    value: Any
    reward: Any
    terminated: Any


def play(env, agent, key):
    """One whole episode in every environment, each on a fresh level.

    All episodes are `max_steps` long, so none begins or ends in the middle of a rollout: the
    memory starts empty and no environment has to be reset on the way.
    """
    reset_key, play_key = jax.random.split(key)
    state, timestep = jax.vmap(env.reset)(jax.random.split(reset_key, NUM_ENVS))

    def step(carry, key):
        state, timestep, memory = carry
        obs = jax.tree.map(lambda x: x[:, 0], timestep.obs)  # [N, A, ...]: the only agent
        memory, logits, value = agent(memory, obs)
        action = jax.random.categorical(key, logits)
        log_prob = log_prob_of(logits, action)
        state, timestep = jax.vmap(env.step)(state, action[:, None])
        reward, terminated = timestep.reward[:, 0], timestep.terminated[:, 0]
        done = Rollout(obs, action, log_prob, value, reward, terminated)
        return (state, timestep, memory), done

    carry = state, timestep, jnp.zeros((NUM_ENVS, WIDTH))
    keys = jax.random.split(play_key, env.max_steps)
    (_, timestep, memory), rollout = lax.scan(step, carry, keys)
    # The clock cut the episodes short, so what would have come after them counts.
    _, _, last_value = agent(memory, jax.tree.map(lambda x: x[:, 0], timestep.obs))
    return rollout, last_value


def advantages(rollout, last_value):
    """Generalised advantage estimates f32[T,B] (Schulman et al. 2016)."""

    def step(carry, x):
        following_advantage, following_value = carry
        reward, terminated, value = x
        goes_on = 1.0 - terminated  # not "done": a truncated episode has a future
        delta = reward + GAMMA * goes_on * following_value - value
        advantage = delta + GAMMA * LAMBDA * goes_on * following_advantage
        return (advantage, value), advantage

    start = jnp.zeros_like(last_value), last_value
    xs = rollout.reward, rollout.terminated.astype(jnp.float32), rollout.value
    return lax.scan(step, start, xs, reverse=True)[1]


def replay(agent, obs):
    """Logits f32[T,B,4] and values f32[T,B] of episodes that were played, from their start."""

    def step(memory, obs):
        memory, logits, value = agent(memory, obs)
        return memory, (logits, value)

    return lax.scan(step, jnp.zeros((obs.view.shape[1], WIDTH)), obs)[1]


def loss_of(params, graphdef, rollout, advantage):
    """PPO's clipped loss (Schulman et al. 2017)."""
    logits, value = replay(nnx.merge(graphdef, params), rollout.obs)
    ratio = jnp.exp(log_prob_of(logits, rollout.action) - rollout.log_prob)
    scaled = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    policy_loss = -jnp.minimum(ratio * scaled, jnp.clip(ratio, 1 - CLIP, 1 + CLIP) * scaled).mean()
    value_loss = 0.5 * jnp.square(value - (rollout.value + advantage)).mean()
    log_probs = jax.nn.log_softmax(logits)
    entropy = -(jnp.exp(log_probs) * log_probs).sum(-1).mean()
    return policy_loss + value_loss - ENTROPY * entropy


def log_prob_of(logits, action):
    """Log-probabilities of the actions that were taken, f32[...]."""
    return jnp.take_along_axis(jax.nn.log_softmax(logits), action[..., None], axis=-1)[..., 0]


@partial(jax.jit, static_argnums=(0, 1, 2))
def update(env, optimizer, graphdef, params, opt_state, key):
    """Plays one episode in every environment and learns from it; the mean return comes along."""
    play_key, shuffle_key = jax.random.split(key)
    rollout, last_value = play(env, nnx.merge(graphdef, params), play_key)
    advantage = advantages(rollout, last_value)

    def gradient_step(carry, chosen):
        params, opt_state = carry
        part = jax.tree.map(lambda x: x[:, chosen], (rollout, advantage))
        updates, opt_state = optimizer.update(
            jax.grad(loss_of)(params, graphdef, *part), opt_state, params
        )
        return (optax.apply_updates(params, updates), opt_state), None

    keys = jax.random.split(shuffle_key, NUM_EPOCHS)
    order = jax.vmap(lambda key: jax.random.permutation(key, NUM_ENVS))(keys)
    minibatches = order.reshape(NUM_EPOCHS * NUM_MINIBATCHES, -1)
    (params, opt_state), _ = lax.scan(gradient_step, (params, opt_state), minibatches)
    return params, opt_state, rollout.reward.sum(axis=0).mean()


def main():
    """Trains and prints the mean return of the episodes that each update played."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--env-id", default="GridMem-9x9-v0")
    parser.add_argument("--steps", type=int, default=2_000_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    env = gridmem.make(args.env_id)
    graphdef, params = nnx.split(Agent(env, nnx.Rngs(args.seed)))
    optimizer = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(LEARNING_RATE))
    opt_state = optimizer.init(params)
    key = jax.random.key(args.seed)
    steps_per_update = NUM_ENVS * env.max_steps
    num_updates = max(1, args.steps // steps_per_update)
    begin = time.perf_counter()
    for number in range(num_updates):
        key, update_key = jax.random.split(key)
        params, opt_state, episode_return = update(
            env, optimizer, graphdef, params, opt_state, update_key
        )
        if number % 10 == 0 or number == num_updates - 1:
            steps, seconds = number * steps_per_update, time.perf_counter() - begin
            print(f"after {steps:8,} steps, {seconds:3.0f} s: mean return {episode_return:.2f}")


if __name__ == "__main__":
    main()
