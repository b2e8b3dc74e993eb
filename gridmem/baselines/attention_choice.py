"""Which attention kernel a run trains with: cuDNN's where it can be used, else XLA's."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gridmem.baselines.attention_kernels import (
    Capability,
    attend_in_blocks,
    causal_attention,
    cuda_capabilities,
    cudnn_refusal,
)
from gridmem.baselines.config import TrainConfig
from gridmem.baselines.devices import any_process

TOLERANCE = 0.05  # between the kernels, of numbers of about 1 in bfloat16


class AttentionChoice(NamedTuple):
    """A kernel, and why it is not cuDNN's."""

    kernel: str  # "cudnn" or "xla"
    reason: str = ""  # for a person; empty for cuDNN, and where there is no choice

    def __str__(self) -> str:
        name = {"cudnn": "cuDNN", "xla": "XLA"}[self.kernel]
        return f"{name}: {self.reason}" if self.reason else name

    def apply(self, config: TrainConfig) -> TrainConfig:
        """The config with this kernel instead of `auto`."""
        return replace(config, model=replace(config.model, attention=self.kernel))


XLA = AttentionChoice("xla")


def choose_attention(
    config: TrainConfig, capabilities: Sequence[Capability] | None = None
) -> AttentionChoice:
    """The kernel for a run, by its shapes and the devices; nothing is executed.

    Args:
        config: of the run.
        capabilities: of the CUDA devices that it is compiled for; those of this process if not
            given.

    Raises:
        ValueError: if the config asks for cuDNN and it cannot be used.
    """
    model = config.model
    if model.mixer != "attention":
        return XLA
    if model.attention == "xla":
        return AttentionChoice("xla", "--attention says so")
    if config.ppo.rollout_steps is not None:
        refusal = "--rollout-steps needs masks that cuDNN does not have"
    else:
        num_steps = config.make_env().max_steps
        devices = capabilities
        if devices is None:
            devices = cuda_capabilities() if jax.default_backend() == "gpu" else []
        refusal = cudnn_refusal(num_steps, model.head_dim, jnp.dtype(model.dtype), devices)
    if refusal is None:
        return AttentionChoice("cudnn")
    return _without_cudnn(config, refusal)


def try_attention(config: TrainConfig, choice: AttentionChoice) -> AttentionChoice:
    """The choice, or XLA if cuDNN fails at the run's shapes, here or in another process.

    All processes must ask. A small gradient is computed by both kernels. Later would be too late:
    a failing update takes the learner with it.

    Raises:
        ValueError: if cuDNN fails and the config asks for it.
    """
    problem = _problem(config) if choice.kernel == "cudnn" else None
    in_one = any_process(choice.kernel == "xla" or problem is not None)[0]
    if choice.kernel == "xla" or not in_one:
        return choice
    return _without_cudnn(config, problem or "another process cannot use it")


def _without_cudnn(config: TrainConfig, reason: str) -> AttentionChoice:
    if config.model.attention == "cudnn":
        raise ValueError(f"--attention is cudnn, but {reason}; use --attention auto or xla")
    return AttentionChoice("xla", reason)


def _problem(config: TrainConfig) -> str | None:
    """What goes wrong when cuDNN computes a small gradient at the run's shapes; None if nothing."""
    model, num_steps = config.model, config.make_env().max_steps
    of_each = model.num_heads, model.num_kv_heads, model.num_kv_heads
    shapes = [(2, num_steps, heads, model.head_dim) for heads in of_each]
    numbers = np.random.default_rng(0)
    inputs = [jnp.asarray(numbers.normal(size=shape), jnp.bfloat16) for shape in shapes]
    lag = np.arange(num_steps)[:, None] - np.arange(num_steps)[None]
    visible = jnp.asarray((lag >= 0) & (lag < (model.window or num_steps)))[None]

    def gradient(attend: Any) -> Any:
        def total(query: Any, key: Any, value: Any) -> Any:
            attended = attend(query, key, value, visible).astype(jnp.float32)
            return jnp.mean(jnp.square(attended)), attended

        return jax.jit(jax.grad(total, argnums=(0, 1, 2), has_aux=True))(*inputs)

    try:
        with jax.default_device(jax.local_devices(backend="cuda")[0]):
            by_cudnn = gradient(partial(causal_attention, window=model.window))
            by_xla = gradient(attend_in_blocks)
            pairs = zip(jax.tree.leaves(by_cudnn), jax.tree.leaves(by_xla), strict=True)
            errors = [_relative_error(*pair) for pair in pairs]
    except Exception as error:  # whatever cuDNN, XLA or the driver raise
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        return f"cuDNN's attention fails on this device ({reason})"
    worst = float(np.max(errors))  # not `max`, which can lose a NaN
    if not np.isfinite(worst):
        return "cuDNN's attention gives non-finite numbers on this device"
    return f"cuDNN's attention is off by {worst:.1%} on this device" if worst > TOLERANCE else None


def _relative_error(x: jax.Array, y: jax.Array) -> float:
    one, other = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))
