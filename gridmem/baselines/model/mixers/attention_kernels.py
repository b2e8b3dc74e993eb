"""Attention over arrays of queries, keys and values, and the choice between cuDNN and XLA."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Float32

from gridmem.baselines.model.layers import precision

BLOCK, MOST_BLOCKS = 128, 8
"""Queries that `attend_in_blocks` takes at a time, at least, and blocks in a sequence at most."""

Capability = tuple[int, int]
"""Of a CUDA device, as (9, 0) for an H100."""
LEAST_CAPABILITY: Capability = (8, 0)
MOST_HEAD_DIM = 128


def cudnn_refusal(
    num_steps: int, head_dim: int, dtype: Any, capabilities: Sequence[Capability]
) -> str | None:
    """Why cuDNN's attention cannot take a causal sequence; None if it can.

    Args:
        num_steps: tokens in the sequence.
        head_dim: features per head.
        dtype: of queries, keys and values.
        capabilities: of the CUDA devices that the program is for.
    """
    if refusal := device_refusal(capabilities):
        return refusal
    if dtype != jnp.bfloat16:
        return f"the model has dtype {jnp.dtype(dtype).name}, not bfloat16"
    if head_dim % 8 or head_dim > MOST_HEAD_DIM:
        return f"head_dim is {head_dim}, not a multiple of 8 up to {MOST_HEAD_DIM}"
    if num_steps % 2:
        return f"a sequence has {num_steps} steps, an odd number"
    return None


def device_refusal(capabilities: Sequence[Capability]) -> str | None:
    """Why kernels for CUDA cannot be used on such devices; None if they can."""
    if not capabilities:
        return "there is no CUDA device"
    if min(capabilities) < LEAST_CAPABILITY:
        major, minor = min(capabilities)
        return f"the device has compute capability {major}.{minor}; 8.0 or higher is needed"
    return None


def cuda_capabilities() -> list[Capability]:
    """Of this process's CUDA devices; empty if it has none."""
    try:
        devices = jax.local_devices(backend="cuda")
    except RuntimeError:  # JAX has no such backend here
        return []
    versions = (str(device.compute_capability).split(".") for device in devices)
    return [(int(major), int(minor)) for major, minor in versions]


def causal_attention(
    query: Float[Array, "B T H d"],
    key: Float[Array, "B T K d"],
    value: Float[Array, "B T K d"],
    visible: Bool[Array, "1 T T"],
    window: int | None,
) -> Float[Array, "B T H d"]:
    """`attend` over a sequence, by cuDNN where the program is lowered for CUDA.

    Args:
        query: of T tokens.
        key: likewise.
        value: likewise.
        visible: which tokens see which: themselves and those before them in the window.
        window: tokens that each one sees, itself included; None for all.
    """

    def cudnn(query: Array, key: Array, value: Array, visible: Array) -> Array:
        size = None if window is None else (window - 1, 0)
        return jax.nn.dot_product_attention(
            query, key, value, is_causal=True, local_window_size=size, implementation="cudnn"
        )

    return lax.platform_dependent(query, key, value, visible, cuda=cudnn, default=attend_in_blocks)


def attend_in_blocks(
    query: Float[Array, "B T H d"],
    key: Float[Array, "B S K d"],
    value: Float[Array, "B S K d"],
    visible: Bool[Array, "b T S"],
) -> Float[Array, "B T H d"]:
    """`attend` for some queries after the other, without the keys that come after all of these.

    The last T keys are the queries' own tokens. About half of the products are saved, and what a
    block computes stays in a processor's cache.
    """
    num_queries = query.shape[1]
    size = max(BLOCK, -(-num_queries // MOST_BLOCKS))
    before, blocks = key.shape[1] - num_queries, []
    for begin in range(0, num_queries, size):
        here, seen = slice(begin, begin + size), slice(before + begin + size)
        block = attend(query[:, here], key[:, seen], value[:, seen], visible[:, here, seen])
        blocks.append(block)
    return jnp.concatenate(blocks, axis=1)


def attend(
    query: Float[Array, "B T H d"],
    key: Float[Array, "B S K d"],
    value: Float[Array, "B S K d"],
    visible: Bool[Array, "b T S"],
) -> Float[Array, "B T H d"]:
    """Softmax attention in float32; head h reads key head h // (H / K); b is 1 or B.

    The queries that share a key head are stacked, so that each product is one large matrix
    product per stream: on a CPU several times as fast as `jax.nn.dot_product_attention`.
    """
    weights = attention_weights(query, key, visible).astype(value.dtype)
    stacked = weights.reshape(*weights.shape[:2], -1, key.shape[1])
    attended = jnp.einsum("bkms,bskd->bkmd", stacked, value, precision=precision(value.dtype))
    attended = attended.reshape(*weights.shape[:-1], -1)
    return jnp.swapaxes(attended, 1, 2).reshape(query.shape)


def attention_weights(
    query: Float[Array, "B T H d"], key: Float[Array, "B S K d"], visible: Bool[Array, "b T S"]
) -> Float32[Array, "B K T G S"]:
    """How much each query attends to each key, G = H / K of them to a key head: rows sum to 1."""
    batch, num_queries, _, head_dim = query.shape
    num_kv_heads = key.shape[2]
    grouped = jnp.swapaxes(query.reshape(batch, num_queries, num_kv_heads, -1, head_dim), 1, 2)
    stacked = grouped.reshape(batch, num_kv_heads, -1, head_dim)
    scores = jnp.einsum(
        "bkmd,bskd->bkms",
        stacked,
        key,
        precision=precision(key.dtype),
        preferred_element_type=jnp.float32,
    )
    scores = scores.reshape(*grouped.shape[:-1], -1) / np.float32(head_dim**0.5)
    return jax.nn.softmax(jnp.where(visible[:, None, :, None, :], scores, -1e30), axis=-1)
