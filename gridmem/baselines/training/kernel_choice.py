"""Which kernels a run has for attention and feed-forward layers: those for CUDA or XLA's."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gridmem.baselines.config import TrainConfig
from gridmem.baselines.model.feed_forward import add_by_xla, add_feed_forward, feed_forward
from gridmem.baselines.model.feed_forward_kernels import SEQUENCE_ROWS, feed_forward_refusal
from gridmem.baselines.model.mixers.attention_kernels import (
    Capability,
    attend_in_blocks,
    causal_attention,
    cuda_capabilities,
    cudnn_refusal,
    device_refusal,
)
from gridmem.baselines.model.mixers.continued_attention import by_xla, continued_attention
from gridmem.baselines.model.mixers.decode_kernel import (
    BLOCK,
    decode,
    decode_by_xla,
    triton_refusal,
    turn_of,
)
from gridmem.baselines.model.mixers.quantized import quantized
from gridmem.baselines.ppo.rollout import context_length
from gridmem.baselines.ppo.sharding import any_process, usable_devices

_NOT_FOR_RUN = {
    "cudnn": "with --rollout-steps tokens attend to kept ones, too, which cuDNN's kernel cannot",
    "triton": "it is for --rollout-steps",
}
TOLERANCE = 0.05  # between the kernels, of numbers of about 1 in bfloat16
XLA_LAYERS = "set by --feed-forward"


class KernelChoice(NamedTuple):
    """Why a run does not have the kernels for CUDA; it has those whose reason is empty."""

    refusal: str = ""  # of `cuda_kernel`, for training
    decode_refusal: str = ""  # of Triton's, for the steps of a rollout
    feed_forward_refusal: str = XLA_LAYERS  # of Triton's, for feed-forward layers of both
    # That for training on whole episodes, and on parts of them.
    cuda_kernel: Literal["cudnn", "triton"] = "cudnn"

    @property
    def kernel(self) -> Literal["cudnn", "triton", "xla"]:
        """That of training."""
        return "xla" if self.refusal else self.cuda_kernel

    @property
    def decode(self) -> Literal["triton", "xla"]:
        """That of a rollout's steps."""
        return "xla" if self.decode_refusal else "triton"

    @property
    def feed_forward(self) -> Literal["triton", "xla"]:
        """That of feed-forward layers."""
        return "xla" if self.feed_forward_refusal else "triton"

    def __str__(self) -> str:
        def named(kernel: str, refusal: str) -> str:
            return f"XLA: {refusal}" if refusal else kernel

        of_layers = f"feed-forward layers by {named('Triton', self.feed_forward_refusal)}"
        if self.refusal == NO_ATTENTION:
            return of_layers
        parts = [named({"cudnn": "cuDNN", "triton": "Triton"}[self.cuda_kernel], self.refusal)]
        if not self.refusal or self.decode_refusal != self.refusal:
            parts.append(f"decoding by {named('Triton', self.decode_refusal)}")
        if not self.refusal or self.feed_forward_refusal != self.refusal:
            parts.append(of_layers)
        return "; ".join(parts)

    def apply(self, config: TrainConfig) -> TrainConfig:
        """The config with these kernels."""
        kernels = {
            "attention": self.kernel,
            "decode": self.decode,
            "feed_forward": self.feed_forward,
        }
        return replace(config, model=replace(config.model, **kernels))


NO_ATTENTION = "the mixer is not attention"
XLA = KernelChoice(NO_ATTENTION, NO_ATTENTION)


def choose_kernels(
    config: TrainConfig,
    capabilities: Sequence[Capability] | None = None,
    resumed: bool = False,
) -> KernelChoice:
    """The kernels for a run, by its shapes and the devices; nothing is executed.

    Args:
        config: of the run.
        capabilities: of the CUDA devices that it is compiled for; those of this process if not
            given.
        resumed: whether a run is resumed, which has XLA for what it had and this device has not.

    Raises:
        ValueError: if the config asks for a kernel that cannot be used.
    """
    devices = capabilities
    if devices is None:
        devices = cuda_capabilities() if jax.default_backend() == "gpu" else []
    in_parts = config.ppo.rollout_steps is not None and config.model.mixer == "attention"
    choice = KernelChoice(
        _refusal(config, devices) or "",
        _decode_refusal(config, devices) or "",
        _layer_refusal(config, devices) or "",
        "triton" if in_parts else "cudnn",
    )
    return _choice(config, choice, resumed)


def try_kernels(config: TrainConfig, choice: KernelChoice, resumed: bool = False) -> KernelChoice:
    """The choice, with XLA for a kernel that fails at the run's shapes, here or in another process.

    All processes must ask. A small computation is done by both kernels. Later would be too late:
    a failing update takes the learner with it.

    Raises:
        ValueError: if a kernel fails for which the config asks.
    """
    if choice == XLA:
        return choice
    here = (
        choice.refusal or _problem(config),
        choice.decode_refusal or _decode_problem(config),
        choice.feed_forward_refusal or _layer_problem(config),
    )
    elsewhere = "another process cannot use it"
    refused = any_process(*map(bool, here))
    training, steps, layers = (
        (why or elsewhere) if is_so else "" for why, is_so in zip(here, refused, strict=True)
    )
    return _choice(config, KernelChoice(training, steps, layers, choice.cuda_kernel), resumed)


def _choice(config: TrainConfig, choice: KernelChoice, resumed: bool) -> KernelChoice:
    """The choice, unless the config of a new run asks for a kernel that is refused."""
    if resumed:
        return choice
    asked = [("feed_forward", "triton", choice.feed_forward_refusal, "auto or xla")]
    if config.model.mixer == "attention":
        for kernel, why in _NOT_FOR_RUN.items():
            refusal = "" if kernel == choice.cuda_kernel else why
            asked.append(("attention", kernel, refusal, "auto or xla"))
        asked.append(("attention", choice.cuda_kernel, choice.refusal, "auto or xla"))
        asked.append(("decode", "triton", choice.decode_refusal, "auto or xla"))
    for option, kernel, why, others in asked:
        if why and getattr(config.model, option) == kernel:
            flag = f"--{option.replace('_', '-')}"
            raise ValueError(f"{flag} is {kernel}, but {why}; use {flag} {others}")
    return choice


def _refusal(config: TrainConfig, devices: Sequence[Capability]) -> str | None:
    model = config.model
    if model.mixer != "attention":
        return NO_ATTENTION
    if model.attention == "xla":
        return "set by --attention"
    if config.ppo.rollout_steps is not None:
        return _triton_refusal(config, devices)
    num_steps, dtype = config.make_env().max_steps, jnp.dtype(model.dtype)
    return cudnn_refusal(num_steps, model.head_dim, dtype, devices)


def _decode_refusal(config: TrainConfig, devices: Sequence[Capability]) -> str | None:
    model = config.model
    if model.mixer != "attention":
        return NO_ATTENTION
    if model.decode == "xla":
        return "set by --decode"
    return _triton_refusal(config, devices)


def _layer_refusal(config: TrainConfig, devices: Sequence[Capability]) -> str | None:
    model = config.model
    if model.feed_forward == "xla":
        return XLA_LAYERS
    if refusal := device_refusal(devices) or _divided(config):
        return refusal
    number = config.steps_per_update // config.ppo.num_minibatches
    if number % SEQUENCE_ROWS:
        return f"a minibatch has {number} agent steps, which is no multiple of {SEQUENCE_ROWS}"
    return feed_forward_refusal(model.width, model.ff_width, jnp.dtype(model.dtype))


def _divided(config: TrainConfig) -> str | None:
    if jax.process_count() > 1 or usable_devices(config) > 1:
        return "the streams are divided among devices, and XLA cannot divide the kernel"
    return None


def _triton_refusal(config: TrainConfig, devices: Sequence[Capability]) -> str | None:
    """Of both kernels of attention."""
    if refusal := device_refusal(devices) or _divided(config):
        return refusal
    return triton_refusal(config.model.head_dim, jnp.dtype(config.model.dtype))


def _problem(config: TrainConfig) -> str:
    """What goes wrong with a small gradient at the run's shapes; empty if nothing."""
    model, num_steps = config.model, config.ppo.rollout_steps or config.make_env().max_steps
    of_each = model.num_heads, model.num_kv_heads, model.num_kv_heads
    inputs = _random(*((2, num_steps, heads, model.head_dim) for heads in of_each))
    if config.ppo.rollout_steps is not None:
        seen = _kept(config)
        by_triton, of_xla = (
            _gradient(lambda *qkv, f=f: f(*qkv, *seen)) for f in (continued_attention, by_xla)
        )
        return _difference("Triton's attention", by_triton, of_xla, inputs)
    lag = np.arange(num_steps)[:, None] - np.arange(num_steps)[None]
    visible = jnp.asarray((lag >= 0) & (lag < (model.window or num_steps)))[None]
    by_cudnn = _gradient(partial(causal_attention, visible=visible, window=model.window))
    return _difference(
        "cuDNN's attention", by_cudnn, _gradient(partial(attend_in_blocks, visible=visible)), inputs
    )


def _gradient(attend: Any) -> Any:
    """Of a mean over what queries attend to, with this."""

    def total(query: Any, key: Any, value: Any) -> Any:
        attended = attend(query, key, value).astype(jnp.float32)
        return jnp.mean(jnp.square(attended)), attended

    return jax.grad(total, argnums=(0, 1, 2), has_aux=True)


def _kept(config: TrainConfig) -> tuple[Any, ...]:
    """Two streams for `continued_attention`, after queries, keys and values: in one an episode goes
    on, in the other one ends."""
    model, num_steps = config.model, config.ppo.rollout_steps or 1
    num_kept = context_length(config, config.make_env())
    heads = 2, model.num_kv_heads
    old = _random((*heads, model.head_dim, num_kept), (*heads, num_kept, model.head_dim))
    own, begins = num_kept + np.arange(num_steps), num_steps // 3
    starts = np.where(np.arange(num_steps) < begins, num_kept // 2, num_kept + begins)
    first = np.maximum([0 * own, starts], own + 1 - (model.window or own[-1] + 1))
    return *old, jnp.asarray(first, jnp.int32), jnp.int32(num_kept)


def _decode_problem(config: TrainConfig) -> str:
    """Likewise of Triton's decoding, for a token in the middle of an episode, or of a rollout."""
    model, num_steps = config.model, config.make_env().max_steps
    used, num_starts = num_steps // 2, 1
    if config.ppo.rollout_steps is not None:  # each stream has its own position
        num_kept = context_length(config, config.make_env())
        num_steps, num_starts = num_kept + config.ppo.rollout_steps, 2
        used = num_kept + config.ppo.rollout_steps // 2
    heads = (2, model.num_heads + 2 * model.num_kv_heads, model.head_dim)
    cache = (2, model.num_kv_heads, -(-num_steps // BLOCK) * BLOCK, model.head_dim)
    new, *caches = _random(heads, cache, cache)
    if model.kv_dtype == "int8":
        caches = [quantized(x) for x in caches]
    first = np.maximum([0, used // 2][:num_starts], used + 1 - (model.window or used + 1))
    angle = np.arange(num_starts * model.head_dim // 2, dtype=np.float32)
    turn = turn_of(jnp.asarray(angle.reshape(num_starts, -1)))
    inputs = new, turn, *caches, jnp.int32(used), jnp.asarray(first, jnp.int32)
    return _difference("decoding by Triton", decode, decode_by_xla, inputs)


def _layer_problem(config: TrainConfig) -> str:
    """Likewise of Triton's feed-forward layers, and of their gradients."""
    width, inner = config.model.width, config.model.ff_width
    x, mixed, fused, down = _random(
        (SEQUENCE_ROWS, width), (SEQUENCE_ROWS, width), (width, 2 * inner), (inner, width)
    )
    scale = jnp.ones(width, jnp.float32)
    inputs = x, mixed, scale, fused / width**0.5, down / inner**0.5
    return _difference("a feed-forward layer by Triton", _layer(True), _layer(False), inputs)


def _layer(by_kernel: bool) -> Any:
    """A feed-forward layer of one token per stream, and its gradients of a sequence."""
    of_tokens = add_feed_forward if by_kernel else add_by_xla

    def layer(x: Any, mixed: Any, scale: Any, fused: Any, down: Any) -> Any:
        def of_sequence(*inputs: Any) -> Any:
            x, *weights = inputs
            return feed_forward(x[None], *weights, by_kernel=by_kernel)[0]

        out, gradient = jax.vjp(of_sequence, x, fused, down)
        return of_tokens(x, mixed, scale, fused, down), out, gradient(mixed)

    return layer


def _random(*shapes: tuple[int, ...]) -> list[jax.Array]:
    numbers = np.random.default_rng(0)
    return [jnp.asarray(numbers.normal(size=shape), jnp.bfloat16) for shape in shapes]


def _difference(name: str, one: Any, other: Any, inputs: Sequence[Any]) -> str:
    """What is wrong with one of two functions on this process's first CUDA device, or nothing."""
    try:
        with jax.default_device(jax.local_devices(backend="cuda")[0]):
            results = (jax.tree.leaves(jax.jit(each)(*inputs)) for each in (one, other))
            errors = _relative_errors(*results)
    except Exception as error:  # whatever cuDNN, Triton, XLA or the driver raise
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        return f"{name} fails on this device ({reason})"
    worst = float(np.max(errors))  # not `max`, which can lose a NaN
    if not np.isfinite(worst):
        return f"{name} gives non-finite numbers on this device"
    return f"{name} is off by {worst:.1%} on this device" if worst > TOLERANCE else ""


def _relative_errors(one: Sequence[jax.Array], other: Sequence[jax.Array]) -> list[float]:
    """Of each of some arrays, relative to its norm, or to that of the largest if it is near 0."""
    pairs = [[np.asarray(x, np.float64) for x in pair] for pair in zip(one, other, strict=True)]
    least = 1e-3 * max(float(np.linalg.norm(y)) for _, y in pairs)
    return [float(np.linalg.norm(x - y) / max(np.linalg.norm(y), least)) for x, y in pairs]
