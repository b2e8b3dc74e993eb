from collections import deque

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmem.baselines.offpolicy.replay_buffer import (
    Transition,
    add,
    emptied,
    empty_buffer,
    sample,
)

STREAMS, ROWS, CONTEXT, SAMPLES = 2, 7, 3, 64
KEY = jax.random.key(0)
insert = jax.jit(add)
draw = jax.jit(sample, static_argnums=(2, 3, 4))


def row(number, time):
    """Whose numbers say which row and stream they are of."""
    ids = np.float32(number * 10.0) + np.arange(STREAMS, dtype=np.float32)
    obs, following = {"place": ids[:, None]}, {"place": ids[:, None] + 0.5}
    row = Transition(obs, ids[:, None], ids, ids < 0, following, np.array(time, np.int32))
    return jax.tree.map(jnp.asarray, row)


@settings(deadline=None, max_examples=40)
@given(
    lengths=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=6, max_size=6),
    number=st.integers(1, 25),
    capacity=st.integers(3, ROWS),
    emptied_at=st.integers(0, 25),
    newest=st.sampled_from([None, 2]),
)
def test_windows_are_those_of_a_slow_twin(lengths, number, capacity, emptied_at, newest):
    buffer = emptied(empty_buffer(row(0, (0, 0)), ROWS), capacity)
    held, steps = deque(maxlen=capacity), np.zeros(STREAMS, int)
    episodes = [iter([each[stream] for each in lengths] * 9) for stream in range(STREAMS)]
    left = [next(each) for each in episodes]
    for n in range(number):
        if n == emptied_at:
            buffer = emptied(buffer, capacity)
            held.clear()
        buffer = insert(buffer, row(n, tuple(steps.tolist())))
        held.append((n, steps.copy()))
        for stream in range(STREAMS):
            left[stream] -= 1
            steps[stream] += 1
            if not left[stream]:
                left[stream], steps[stream] = next(episodes[stream]), 0
    expected = {}
    for place, (n, times) in enumerate(held):
        if newest is not None and place < len(held) - newest:
            continue
        for stream in range(STREAMS):
            known = min(CONTEXT, times[stream] + 1, place + 1)
            expected[10.0 * n + stream] = [10.0 * (n - back) + stream for back in range(known)][
                ::-1
            ]
    batch = jax.device_get(draw(buffer, KEY, SAMPLES, CONTEXT, newest))
    for i in range(SAMPLES):
        valid = np.asarray(batch.window.valid[i])
        seen = np.asarray(batch.window.obs["place"][i, :, 0])[valid].tolist()
        action = float(batch.action[i, 0])
        assert seen == expected[action]
        assert valid.tolist() == sorted(valid.tolist())  # what is missing comes first
        following = batch.next_window
        after = np.asarray(following.obs["place"][i, :, 0])[np.asarray(following.valid[i])]
        assert after.tolist() == [*seen, action + 0.5][-CONTEXT:]
        assert float(batch.reward[i]) == action
    assert {float(x) for x in batch.action[:, 0]} <= set(expected)


def test_all_are_drawn_with_equal_probability():
    buffer = empty_buffer(row(0, (0, 0)), ROWS)
    for n in range(10):
        buffer = add(buffer, row(n, (n, n)))
    batch = sample(buffer, jax.random.key(0), 14_000, 1)
    ids, counts = np.unique(np.asarray(batch.reward), return_counts=True)
    assert ids.tolist() == sorted(10.0 * n + s for n in range(3, 10) for s in range(STREAMS))
    assert np.abs(counts - 1000).max() < 150
