"""What only a GPU can show; skipped where there is none."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import gridmem
from gridmem.baselines.config import to_dict
from gridmem.baselines.costs.plan import plan
from gridmem.baselines.model.feed_forward import add_by_xla, add_feed_forward, feed_forward
from gridmem.baselines.model.mixers import make_mixer
from gridmem.baselines.model.mixers.attention_kernels import (
    attend_in_blocks,
    causal_attention,
    cuda_capabilities,
)
from gridmem.baselines.model.mixers.continued_attention import by_xla as continued_by_xla
from gridmem.baselines.model.mixers.continued_attention import continued_attention
from gridmem.baselines.model.mixers.decode_kernel import decode, decode_by_xla, turn_of
from gridmem.baselines.model.mixers.quantized import quantized
from gridmem.baselines.ppo.learner import init, update
from gridmem.baselines.presets import preset
from gridmem.baselines.registration import MIXERS
from gridmem.baselines.train import main
from gridmem.baselines.training.kernel_choice import (
    KernelChoice,
    choose_kernels,
    try_kernels,
)
from gridmem.envs.registry import CONFIGS

pytestmark = pytest.mark.skipif(not cuda_capabilities(), reason="needs a CUDA device")


@pytest.fixture(autouse=True)
def _default_precision():
    """As users have it; elsewhere the tests ask for more."""
    with jax.default_matmul_precision("default"):
        yield


def changed(name, **parts):
    config = preset(name)
    return replace(config, **{k: replace(getattr(config, k), **v) for k, v in parts.items()})


def on(platform, function, *args):
    """The results of a jitted function on a device of that platform."""
    placed = jax.device_put(args, jax.devices(platform)[0])
    return jax.device_get(jax.jit(function)(*placed))


def relative_error(x, y):
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return np.linalg.norm(x - y) / np.linalg.norm(y)


@pytest.mark.parametrize("id", CONFIGS)
def test_levels_and_episodes_have_the_bits_of_a_cpu(id):
    env = gridmem.make(id)
    keys = jax.random.key_data(jax.random.split(jax.random.key(0), 32))
    actions = np.random.default_rng(0).integers(0, 4, (64, 32, 1), np.int32)

    def episodes(keys, actions):
        levels = jax.vmap(env.generate)(jax.random.wrap_key_data(keys))
        state, first = jax.vmap(env.start)(levels)
        return levels, first, jax.lax.scan(jax.vmap(env.step), state, actions)

    for x, y in zip(
        *(jax.tree.leaves(on(where, episodes, keys, actions)) for where in ("cuda", "cpu")),
        strict=True,
    ):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("window", [None, 64])
def test_cudnn_attention_is_that_of_xla(window):
    numbers = np.random.default_rng(0)
    shapes = [(8, 512, heads, 32) for heads in (4, 1, 1)]
    arrays = [jnp.asarray(numbers.normal(size=shape), jnp.bfloat16) for shape in shapes]
    lag = np.arange(512)[:, None] - np.arange(512)[None]
    visible = ((lag >= 0) & (lag < (window or 512)))[None]

    def by_cudnn(*qkv):
        return causal_attention(*qkv, jnp.asarray(visible), window)

    def by_xla(*qkv):
        return attend_in_blocks(*qkv, jnp.asarray(visible))

    def gradients(attend):
        def total(*qkv):
            return jnp.sum(jnp.square(attend(*qkv).astype(jnp.float32)))

        return jax.grad(total, argnums=(0, 1, 2))

    assert "cudnn" in jax.jit(by_cudnn).lower(*arrays).as_text()
    pairs = [(on("cuda", by_cudnn, *arrays), on("cuda", by_xla, *arrays))]
    of_each = (on("cuda", gradients(each), *arrays) for each in (by_cudnn, by_xla))
    pairs += zip(*of_each, strict=True)
    assert np.max([relative_error(*pair) for pair in pairs]) < 0.02


@pytest.mark.parametrize("in_8_bits", [False, True])
@pytest.mark.parametrize("seen", [None, 1, 40, "streams"])
@pytest.mark.parametrize("heads", [(4, 1), (4, 2), (3, 1), (32, 1)])
def test_decoding_by_triton_is_that_of_xla(heads, seen, in_8_bits):
    """Tokens see all slots, so many, or each stream others."""
    num_heads, num_kv_heads = heads
    numbers = np.random.default_rng(0)
    shapes = [(64, num_heads + 2 * num_kv_heads, 32), *[(64, num_kv_heads, 256, 32)] * 2]
    new, *caches = [jnp.asarray(numbers.normal(size=shape), jnp.bfloat16) for shape in shapes]
    if in_8_bits:
        caches = map(quantized, caches)
    streams = 64 if seen == "streams" else 1
    angle = numbers.uniform(0, 500, size=(streams, 16))
    arrays = new, turn_of(jnp.asarray(angle, jnp.float32)), *caches
    for used in (0, 1, 31, 32, 200, 255):
        first = np.maximum([used + 1 - (seen or used + 1)], 0) if streams == 1 else None
        first = numbers.integers(0, used + 1, streams) if first is None else first
        more = jnp.int32(used), jnp.asarray(first, jnp.int32)
        (one, *caches), (other, *others) = (
            on("cuda", kernel, *arrays, *more) for kernel in (decode, decode_by_xla)
        )
        assert relative_error(one, other) < 0.01
        for pair in zip(*map(jax.tree.leaves, (caches, others)), strict=True):
            np.testing.assert_array_equal(*pair)


@pytest.mark.parametrize("window", [None, 40])
@pytest.mark.parametrize("sizes", [(4, 1, 32, 128, 512), (4, 2, 16, 100, 70), (3, 1, 64, 16, 200)])
def test_attention_over_kept_tokens_by_triton_is_that_of_xla(sizes, window):
    num_heads, num_kv_heads, head_dim, num_new, num_kept = sizes
    numbers, batch = np.random.default_rng(0), 8
    new = [(batch, num_new, heads, head_dim) for heads in (num_heads, num_kv_heads, num_kv_heads)]
    old = (batch, num_kv_heads, head_dim, num_kept), (batch, num_kv_heads, num_kept, head_dim)
    arrays = [jnp.asarray(numbers.normal(size=shape), jnp.bfloat16) for shape in (*new, *old)]
    own = num_kept + np.arange(num_new)
    begins = np.where(numbers.random((batch, num_new)) < 0.03, own, 0)
    begins[:, 0] = numbers.integers(0, num_kept + 1, batch)
    first = np.maximum.accumulate(begins, axis=1)
    first = np.maximum(first, own + 1 - (window or own[-1] + 1))
    more = jnp.asarray(first, jnp.int32), jnp.int32(num_kept)
    gradient = jnp.asarray(numbers.normal(size=new[0]), jnp.bfloat16)

    def both(attend, gradient, query, key, value, *seen):
        out, backward = jax.vjp(lambda *new: attend(*new, *seen), query, key, value)
        return out, *backward(gradient)

    kernels = (partial(both, each) for each in (continued_attention, continued_by_xla))
    for pair in zip(*(on("cuda", f, gradient, *arrays, *more) for f in kernels), strict=True):
        assert relative_error(*pair) < 0.02


@pytest.mark.parametrize(("width", "inner"), [(128, 768), (64, 128), (16, 64)])
def test_the_feed_forward_layer_by_triton_is_that_of_xla(width, inner):
    numbers = np.random.default_rng(0)
    shapes = (512, width), (512, width), (width, 2 * inner), (inner, width)
    x, gradient, fused, down = (
        jnp.asarray(numbers.normal(size=shape) / width**0.5, jnp.bfloat16) for shape in shapes
    )
    scale = jnp.ones(width, jnp.float32)
    tokens = x, gradient, scale, fused, down
    assert relative_error(*(on("cuda", f, *tokens) for f in (add_feed_forward, add_by_xla))) < 0.01

    def gradients(by_kernel):
        def both(x, gradient, fused, down):
            layer = partial(feed_forward, by_kernel=by_kernel)
            out, backward = jax.vjp(lambda x, *w: layer(x[None], *w)[0], x, fused, down)
            return out, *backward(gradient)

        return on("cuda", both, x, gradient, fused, down)

    for pair in zip(gradients(True), gradients(False), strict=True):
        assert relative_error(*pair) < 0.02


@pytest.mark.parametrize(("dtype", "most"), [("float32", 1e-5), ("bfloat16", 0.03)])
@pytest.mark.parametrize("mixer", [*MIXERS, "attention by Triton"])
def test_stepping_is_the_full_pass(mixer, dtype, most):
    mixer, *by_triton = mixer.split(" by ")
    decode = "triton" if by_triton and dtype == "bfloat16" else "xla"
    config = replace(preset("reference").model, mixer=mixer, dtype=dtype, decode=decode)
    module = make_mixer(config, nnx.Rngs(params=jax.random.key(0)))
    graphdef, params = nnx.split(module)
    x = jax.random.normal(jax.random.key(1), (4, 128, config.width), jnp.dtype(dtype))

    def full(params, x):
        mixer = nnx.merge(graphdef, params)
        return mixer.sequence(x, mixer.init_cache(4, 0))

    def stepped(params, x):
        mixer = nnx.merge(graphdef, params)
        weights = mixer.prepare()

        def step(cache, x):
            out, cache = mixer.step(x, cache, None, weights)
            return cache, out

        cache = mixer.init_cache(4, 128)
        return jnp.swapaxes(jax.lax.scan(step, cache, jnp.swapaxes(x, 0, 1))[1], 0, 1)

    pair = on("cuda", full, params, x), on("cuda", stepped, params, x)
    np.testing.assert_allclose(*(each.astype(np.float32) for each in pair), rtol=0, atol=most)


@pytest.mark.parametrize("steps", [None, 128])
@pytest.mark.parametrize("kv_dtype", ["model", "int8"])
@pytest.mark.parametrize(
    ("dtype", "feed_forward", "most"),
    [("float32", "xla", 1e-5), ("bfloat16", "xla", 0.02), ("bfloat16", "triton", 0.02)],
)
def test_the_first_ratio_is_one(dtype, feed_forward, most, kv_dtype, steps):
    model = {"dtype": dtype, "kv_dtype": kv_dtype, "feed_forward": feed_forward}
    method = {"num_envs": 8, "rollout_steps": steps}
    config = changed("reference", method=method, model=model)
    config = choose_kernels(config).apply(config)
    kernels = ("triton" if steps else "cudnn", "triton")
    kernels = kernels if dtype == "bfloat16" else ("xla", "xla")
    assert (config.model.attention, config.model.decode) == kernels
    env = config.make_env()
    graphdef, learner = init(config, env)
    for _ in range(2):
        learner, metrics = update(config, env, graphdef, learner)
        assert float(metrics.first_ratio_error) < most
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.device_get(learner.params)))


@pytest.mark.parametrize("kv_dtype", ["model", "int8"])
def test_the_kernels_work_at_the_shapes_of_the_presets(kv_dtype):
    for name in ("reference", "small"):
        model = {"kv_dtype": kv_dtype, "feed_forward": "triton"}
        for steps, kernel in ((None, "cudnn"), (64, "triton")):
            config = changed(name, model=model, method={"rollout_steps": steps})
            choice = KernelChoice("", "", "", kernel)
            assert choose_kernels(config) == choice
            assert try_kernels(config, choice) == choice


@pytest.mark.parametrize("flags", [[], ["--max-steps", "255"], ["--head-dim", "36"]])
def test_a_run_has_a_kernel_whatever_its_shapes(flags, tmp_path, capsys):
    few = ["--total-steps", "32768", "--eval-levels", "8", "--run-dir", str(tmp_path / "run")]
    assert main(["small", *flags, *few]) == 0
    kernel = "XLA: " if flags else "cuDNN; decoding by Triton; feed-forward layers by Triton\n"
    assert f"attention    {kernel}" in capsys.readouterr().out


@pytest.mark.parametrize("feed_forward", ["xla", "triton"])
@pytest.mark.parametrize("name", ["reference", "small"])
def test_the_plan_is_what_xla_needs(name, feed_forward):
    config = changed(name, model={"feed_forward": feed_forward})
    config = choose_kernels(config).apply(config)
    env = config.make_env()
    graphdef, learner = init(config, env)
    memory = update.lower(config, env, graphdef, learner).compile().memory_analysis()
    needed = (
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
        + memory.temp_size_in_bytes
    )
    assert plan(config).memory.peak == pytest.approx(
        needed, rel=0.15 if name == "reference" else 0.3
    )


INTERRUPTED = """
import os, signal, sys
from gridmem.baselines.training import loop as training
from gridmem.baselines.train import main
original, calls = training.update_seeds, []
def update_seeds(*args):
    calls.append(1)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGTERM)
    return original(*args)
training.update_seeds = update_seeds
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.xfail(
    jax.__version__.startswith("0.11."),
    reason="XLA cannot build the update with --xla_gpu_deterministic_ops",
)
def test_a_deterministic_run_resumes_bit_for_bit(tmp_path):
    config = replace(preset("small"), total_steps=131_072, deterministic=True, eval_levels=0)
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(to_dict(config)))

    def train(*argv):
        env = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        return subprocess.run([sys.executable, *map(str, argv)], env=env, timeout=300).returncode

    program = "-m", "gridmem.baselines.train"
    assert train(*program, settings, "--run-dir", tmp_path / "whole") == 0
    assert train("-c", INTERRUPTED, settings, "--run-dir", tmp_path / "parts") == 130
    assert train(*program, "--resume", tmp_path / "parts") == 0
    whole, parts = (
        (tmp_path / name / "agent.safetensors").read_bytes() for name in ("whole", "parts")
    )
    assert whole == parts
