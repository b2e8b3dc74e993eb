"""A ring of single steps, from which windows of observations are cut when they are sampled."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float32, Int32, Key

from gridmem.baselines.model.windows import Window


class Transition(NamedTuple):
    """A step of B streams, leaves [B, ...]; in a buffer of R rows, [R, B, ...]."""

    obs: dict[str, Array]
    action: Float32[Array, "*batch K"]  # from -1 to 1
    reward: Float32[Array, "*batch"]
    terminated: Bool[Array, "*batch"]  # not at a time limit
    next_obs: dict[str, Array]  # the true one, also at the end of an episode
    time: Int32[Array, "*batch"]  # of `obs` in its episode, from 0


class ReplayBuffer(NamedTuple):
    """The last rows, in a ring. Row n is in slot n % capacity."""

    data: Transition
    added: Int32[Array, ""]  # rows since the buffer was empty
    capacity: Int32[Array, ""]  # rows that it may hold, at most R

    @property
    def num_rows(self) -> Int32[Array, ""]:
        """Rows that it holds."""
        return jnp.minimum(self.added, self.capacity)


class Batch(NamedTuple):
    """Sampled transitions."""

    window: Window  # the last one of its observations is that of the action
    action: Float32[Array, "S K"]
    reward: Float32[Array, " S"]
    terminated: Bool[Array, " S"]
    next_window: Window


def empty_buffer(row: Transition, num_rows: int) -> ReplayBuffer:
    """A buffer with room for so many rows like `row`, of which only shapes and dtypes matter."""
    data = jax.tree.map(lambda leaf: jnp.zeros((num_rows, *leaf.shape), leaf.dtype), row)
    return ReplayBuffer(data, jnp.int32(0), jnp.int32(num_rows))


def emptied(buffer: ReplayBuffer, capacity: int) -> ReplayBuffer:
    """The buffer without its rows, with room for `capacity`."""
    return ReplayBuffer(buffer.data, jnp.int32(0), jnp.int32(capacity))


def add(buffer: ReplayBuffer, row: Transition) -> ReplayBuffer:
    """The buffer with one row more, which replaces the oldest if it is full."""
    slot = buffer.added % buffer.capacity
    data = jax.tree.map(lambda rows, new: rows.at[slot].set(new), buffer.data, row)
    return buffer._replace(data=data, added=buffer.added + 1)


def sample(
    buffer: ReplayBuffer,
    key: Key[Array, ""],
    number: int,
    context: int,
    newest: int | None = None,
) -> Batch:
    """Draws transitions, each with equal probability, with replacement.

    A window has the observations that come before in the same episode and are still held.

    Args:
        buffer: with one row at least.
        key: source of the draws.
        number: of transitions, S.
        context: observations of a window, C.
        newest: draw from so many of the newest rows; from all if not given.
    """
    row_key, stream_key = jax.random.split(key)
    held = buffer.num_rows
    recent = held if newest is None else jnp.minimum(held, newest)
    age = jax.random.randint(row_key, (number,), 0, recent)  # 0 is the newest
    num_streams = buffer.data.reward.shape[1]
    stream = jax.random.randint(stream_key, (number,), 0, num_streams)[:, None]
    back = jnp.arange(context - 1, -1, -1, dtype=jnp.int32)[None]  # rows before that of the action
    slot = (buffer.added - 1 - age[:, None] - back) % buffer.capacity
    last = slot[:, -1], stream[:, 0]
    time = buffer.data.time[last][:, None]
    valid = (back <= time) & (back + age[:, None] < held)
    obs = {name: rows[slot, stream] for name, rows in buffer.data.obs.items()}
    following = {
        name: jnp.concatenate([obs[name][:, 1:], rows[last][:, None]], axis=1)
        for name, rows in buffer.data.next_obs.items()
    }
    still_valid = jnp.concatenate([valid[:, 1:], jnp.ones_like(valid[:, :1])], axis=1)
    return Batch(
        window=Window(obs, valid),
        action=buffer.data.action[last],
        reward=buffer.data.reward[last],
        terminated=buffer.data.terminated[last],
        next_window=Window(following, still_valid),
    )
