"""Attention as the papers write it: the whole sequence at once, a head at a time, in float64."""

import numpy as np


def head_weights(mixer, x, segments):
    """[H, B, T, S]: how much token t of a stream draws on token s; rows sum to 1."""
    x = wide(x)
    query, key = (
        rotated(normed(heads(x, w, n), norm), mixer.rope_base)
        for w, n, norm in (
            (mixer.query, mixer.num_heads, mixer.query_norm),
            (mixer.key, mixer.num_kv_heads, mixer.key_norm),
        )
    )
    time = np.arange(x.shape[1])
    distance = time[:, None] - time[None, :]
    near = (distance >= 0) & (distance < (mixer.window or len(time)))
    visible = near[None] & (segments[:, :, None] == segments[:, None, :])
    return np.stack(
        [
            softmax(query[:, :, h] @ key[:, :, k].swapaxes(1, 2) / mixer.head_dim**0.5, visible)
            for h, k in shared(mixer)
        ]
    )


def sequence(mixer, x, segments):
    """[B, T, D]: what the mixer makes of x."""
    value = heads(wide(x), mixer.value, mixer.num_kv_heads)
    weights = head_weights(mixer, x, segments)
    mixed = [weights[h] @ value[:, :, k] for h, k in shared(mixer)]
    return np.concatenate(mixed, axis=-1) @ wide(mixer.out[...])


def shared(mixer):
    """Each query head and the key head that it reads."""
    return [(h, h * mixer.num_kv_heads // mixer.num_heads) for h in range(mixer.num_heads)]


def heads(x, matrix, number):
    return (x @ wide(matrix[...])).reshape(*x.shape[:2], number, -1)


def normed(x, norm):
    if norm is None:
        return x
    return x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-6) * wide(norm.scale[...])


def rotated(x, base):
    """Rotary positions 0, 1, 2, ... for x[B, T, heads, d]."""
    half = x.shape[-1] // 2
    angle = np.arange(x.shape[1])[:, None, None] * base ** -(np.arange(half) / half)
    turn = (x[..., :half] + 1j * x[..., half:]) * np.exp(1j * angle)
    return np.concatenate([turn.real, turn.imag], axis=-1)


def softmax(scores, visible):
    likely = np.where(visible, np.exp(scores), 0)
    return likely / likely.sum(axis=-1, keepdims=True)


def wide(x):
    return np.asarray(x.astype("float32"), np.float64)
