"""The recurrences as the papers write them: a stream and a token at a time, in float64."""

import numpy as np
from flax import nnx


def sequence(name, mixer, x, segments):
    """[B, T, D]: what the mixer makes of x."""
    step = {"gru": gru, "lstm": lstm, "linear": linear, "gla": gla}[name]
    weights = {
        key: wide(param[...]) for key, param in vars(mixer).items() if isinstance(param, nnx.Param)
    }
    out = np.zeros(x.shape)
    for stream, (tokens, numbers) in enumerate(zip(wide(x), segments, strict=True)):
        state, last = np.zeros(mixer.state_shape), None
        for t, (token, number) in enumerate(zip(tokens, numbers, strict=True)):
            if number != last:
                state, last = np.zeros(mixer.state_shape), number
            state, out[stream, t] = step(weights, state, token)
    return out


def gru(w, h, x):
    keep = sigmoid(x @ w["keep_input"] + w["keep_bias"] + h @ w["keep_state"])
    reset = sigmoid(x @ w["reset_input"] + w["reset_bias"] + h @ w["reset_state"])
    candidate = np.tanh(x @ w["new_input"] + w["new_bias"] + reset * (h @ w["new_state"]))
    h = keep * h + (1 - keep) * candidate
    return h, h @ w["out"]


def lstm(w, state, x):
    def gate(name):
        return x @ w[f"{name}_input"] + w[f"{name}_bias"] + state[1] @ w[f"{name}_state"]

    cell = sigmoid(gate("keep")) * state[0] + sigmoid(gate("take")) * np.tanh(gate("new"))
    h = sigmoid(gate("show")) * np.tanh(cell)
    return np.stack([cell, h]), h @ w["out"]


def linear(w, h, x):
    exponent = 8 * sigmoid(x @ w["decay"] + w["decay_bias"])
    decay = (1 / (1 + np.exp(w["rate"]))) ** exponent
    taken = sigmoid(x @ w["input"] + w["input_bias"])
    h = decay * h + np.sqrt(1 - decay**2) * taken * (x @ w["value"])
    return h, (gelu(x @ w["gate"]) * h) @ w["out"]


def gla(w, state, x):
    """Head by head; `state` is [groups, d, heads of a group, v]."""
    num_groups, dim, size, _ = state.shape
    query, key = ((x @ w[name]).reshape(num_groups, dim) for name in ("query", "key"))
    value, gate = (np.split(x @ w[name], num_groups * size) for name in ("value", "gate"))
    decay = sigmoid(x @ w["decay"] + w["decay_bias"]) ** (1 / 16)
    after, outs = np.zeros(state.shape), []
    for head in range(num_groups * size):
        group, member = divmod(head, size)
        memory = decay[head] * state[group, :, member] + np.outer(key[group], value[head])
        after[group, :, member] = memory
        read = query[group] / np.sqrt(dim) @ memory
        normed = read / np.sqrt(np.mean(read**2) + 0.01) * w["scale"]
        outs.append(normed * gate[head] * sigmoid(gate[head]))
    return after, np.concatenate(outs) @ w["out"]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):
    return 0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3)))


def wide(x):
    return np.asarray(x.astype("float32"), np.float64)
