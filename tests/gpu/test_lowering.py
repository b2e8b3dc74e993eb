"""What the trainer becomes for a GPU, told without one: programs are lowered, not run."""

import re
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from breadth import breadth
from flax import nnx
from jax._src.cudnn import fused_attention_stablehlo
from jax._src.pallas.triton import gpu_info
from jax.extend.core import Jaxpr

from gridmem.baselines.costs.abstract_run import abstract_run
from gridmem.baselines.model.mixers.attention_kernels import cuda_capabilities, cudnn_refusal
from gridmem.baselines.model.mixers.decode_kernel import by_triton, decode_by_xla, turn_of
from gridmem.baselines.model.mixers.quantized import quantized
from gridmem.baselines.model.policy import model_policy
from gridmem.baselines.ppo.learner import make_batch, minibatch_loss, update
from gridmem.baselines.ppo.rollout import collect
from gridmem.baselines.presets import preset
from gridmem.baselines.registration import MIXERS
from gridmem.baselines.train import main
from gridmem.baselines.training import kernel_choice
from gridmem.baselines.training.kernel_choice import (
    KernelChoice,
    choose_kernels,
    try_kernels,
)
from gridmem.envs.batch.rollout import play

H100 = [(9, 0)]
FORWARD, BACKWARD = "__cudnn$fmhaSoftmax(", "__cudnn$fmhaSoftmaxBackward("
TRITON = "__gpu$xla.gpu.triton"
without_card = pytest.mark.skipif(bool(cuda_capabilities()), reason="for machines without a card")


@pytest.fixture
def plugin(monkeypatch):
    """As with JAX's CUDA plugin and a card, without which such kernels cannot be lowered."""
    monkeypatch.setattr(fused_attention_stablehlo, "check_cudnn_version", lambda: 92600)
    h100 = gpu_info.GpuInfo(
        gpu_version=gpu_info.GpuVersion.H100, arch_name="9.0", compute_capability=90
    )
    monkeypatch.setattr(gpu_info, "get_gpu_info", lambda: h100)


def changed(name, **parts):
    config = preset(name)
    return replace(config, **{k: replace(getattr(config, k), **v) for k, v in parts.items()})


def traced(config):
    """An update, not yet lowered for any platform."""
    run = abstract_run(config)
    return update.trace(config, run.env, run.graphdef, run.learner)


def lowered(program, platform):
    return program.lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.slow
@pytest.mark.parametrize("feed_forward", ["xla", "triton"])
def test_the_reference_update_has_cudnn_attention_in_both_directions(plugin, feed_forward):
    config = changed("reference", model={"feed_forward": feed_forward})
    config = choose_kernels(config, H100).apply(config)
    text = lowered(traced(config), "cuda")
    layers = config.model.num_layers
    assert (text.count(FORWARD), text.count(BACKWARD)) == (layers, layers)
    # A step has one, in the loop and for the value after the last one. With the feed-forward
    # layer's it has two, and training has them in both directions.
    assert text.count(TRITON) == (2 if feed_forward == "xla" else 2 * 2 + 2) * layers


@pytest.mark.slow
@pytest.mark.parametrize(
    "more", [{}, {"kv_dtype": "int8"}, {"feed_forward": "triton"}], ids=["", "int8", "feed-forward"]
)
@pytest.mark.parametrize("steps", [None, 32])
def test_the_platform_that_is_lowered_for_decides(plugin, steps, more):
    kernels = {"attention": "triton" if steps else "cudnn", "decode": "triton"}
    config = changed("small", model={**kernels, **more}, method={"rollout_steps": steps})
    program = traced(config)
    for platform, there in (("cuda", True), ("cpu", False), ("rocm", False)):
        text = lowered(program, platform)
        assert ("cudnn" in text, TRITON in text) == (there and not steps, there)
        assert ("attention_bwd_keys" in text) == (there and bool(steps))


@without_card
@pytest.mark.slow
def test_without_plugin_and_card_attention_is_that_of_xla():
    config = preset("small")
    assert config.model.attention == "auto"
    choice = choose_kernels(config)
    assert (choice.kernel, choice.decode, str(choice)) == (
        "xla",
        "xla",
        "XLA: there is no CUDA device",
    )
    assert "cudnn" not in lowered(traced(config), "cuda")


@pytest.mark.parametrize(
    ("sequence", "reason"),
    [
        ((512, 32, "bfloat16", H100), None),
        ((2, 8, "bfloat16", [(8, 0)]), None),
        ((64, 128, "bfloat16", [(12, 0)]), None),
        ((512, 32, "bfloat16", []), "there is no CUDA device"),
        (
            (512, 32, "bfloat16", [(9, 0), (7, 5)]),
            "the device has compute capability 7.5; 8.0 or higher is needed",
        ),
        ((512, 32, "float32", H100), "the model has dtype float32, not bfloat16"),
        ((255, 32, "bfloat16", H100), "a sequence has 255 steps, an odd number"),
        ((512, 36, "bfloat16", H100), "head_dim is 36, not a multiple of 8 up to 128"),
        ((512, 136, "bfloat16", H100), "head_dim is 136, not a multiple of 8 up to 128"),
    ],
)
def test_cudnn_is_for_what_it_can_compute(sequence, reason):
    num_steps, head_dim, dtype, capabilities = sequence
    assert cudnn_refusal(num_steps, head_dim, jnp.dtype(dtype), capabilities) == reason


@pytest.mark.parametrize(
    ("parts", "devices", "kernels", "told"),
    [
        ({}, H100, ("cudnn", "triton"), "cuDNN; decoding by Triton; feed-forward layers by Triton"),
        ({}, [], ("xla", "xla"), "XLA: there is no CUDA device"),
        (
            {"model": {"attention": "xla"}},
            H100,
            ("xla", "triton"),
            "XLA: set by --attention; decoding by Triton; feed-forward layers by Triton",
        ),
        (
            {"model": {"decode": "xla"}},
            H100,
            ("cudnn", "xla"),
            "cuDNN; decoding by XLA: set by --decode; feed-forward layers by Triton",
        ),
        (
            {"model": {"mixer": "gru", "attention": "cudnn"}},
            H100,
            ("xla", "xla"),
            "feed-forward layers by Triton",
        ),
        (
            {"method": {"rollout_steps": 64}},
            H100,
            ("triton", "triton"),
            "Triton; decoding by Triton; feed-forward layers by Triton",
        ),
        (
            {"method": {"rollout_steps": 63}, "model": {"kv_dtype": "int8"}},
            H100,
            ("triton", "triton"),
            "Triton; decoding by Triton; feed-forward layers by XLA: a minibatch has 252 agent "
            "steps, which is no multiple of 128",
        ),
        (
            {"method": {"rollout_steps": 64}, "model": {"head_dim": 24}},
            H100,
            ("xla", "xla"),
            "XLA: head_dim is 24, not 16, 32, 64 or 128; feed-forward layers by Triton",
        ),
        (
            {"method": {"rollout_steps": 64}, "model": {"attention": "xla"}},
            H100,
            ("xla", "triton"),
            "XLA: set by --attention; decoding by Triton; feed-forward layers by Triton",
        ),
        (
            {"env": {"max_steps": 255}},
            H100,
            ("xla", "triton"),
            "XLA: a sequence has 255 steps, an odd number; decoding by Triton; "
            "feed-forward layers by XLA: a minibatch has 1020 agent steps, which is no multiple "
            "of 128",
        ),
        (
            {"model": {"feed_forward": "xla"}},
            H100,
            ("cudnn", "triton"),
            "cuDNN; decoding by Triton; feed-forward layers by XLA: set by --feed-forward",
        ),
        (
            {"model": {"mixer": "gru"}},
            [],
            ("xla", "xla"),
            "feed-forward layers by XLA: there is no CUDA device",
        ),
        (
            {"model": {"head_dim": 24}},
            H100,
            ("cudnn", "xla"),
            "cuDNN; decoding by XLA: head_dim is 24, not 16, 32, 64 or 128; "
            "feed-forward layers by Triton",
        ),
    ],
)
def test_a_run_has_the_kernels_that_its_shapes_allow(parts, devices, kernels, told):
    choice = choose_kernels(changed("small", **parts), devices)
    assert ((choice.kernel, choice.decode), str(choice)) == (kernels, told)


@pytest.mark.slow
def test_an_odd_sequence_never_reaches_cudnn(plugin):
    config = changed("small", env={"max_steps": 31}, model={"attention": "cudnn"})
    assert "cudnn" not in lowered(traced(config), "cuda")


IN_FLOAT32 = {"dtype": "float32"}, "the model has dtype float32, not bfloat16"


@pytest.mark.parametrize(
    ("option", "kernel", "parts", "reason"),
    [
        *(
            (option, kernel, {"model": IN_FLOAT32[0], "method": {"rollout_steps": steps}}, why)
            for option, kernel, steps in [
                ("attention", "cudnn", None),
                ("attention", "triton", 64),
                ("decode", "triton", None),
                ("decode", "triton", 64),
            ]
            for why in IN_FLOAT32[1:]
        ),
        (
            "attention",
            "cudnn",
            {"method": {"rollout_steps": 64}},
            "with --rollout-steps tokens attend to kept ones, too, which cuDNN's kernel cannot",
        ),
        ("attention", "triton", {}, "it is for --rollout-steps"),
    ],
)
def test_a_kernel_where_it_cannot_be_is_refused(option, kernel, parts, reason):
    model = {**parts.get("model", {}), option: kernel}
    told = f"--{option} is {kernel}, but {reason}; use --{option} auto or xla"
    config = changed("small", **{**parts, "model": model})
    with pytest.raises(ValueError, match=f"^{re.escape(told)}$"):
        choose_kernels(config, H100)
    resumed = choose_kernels(config, H100, resumed=True).apply(config).model
    assert getattr(resumed, option) != kernel


@pytest.mark.parametrize(
    ("model", "devices", "reason"),
    [
        ({}, [], "there is no CUDA device"),
        ({"dtype": "float32"}, H100, "the model has dtype float32, not bfloat16"),
        ({"width": 96}, H100, "width is 96, not 16, 32, 64 or 128"),
        ({"ff_width": 100}, H100, "ff_width is 100, not a multiple of 64"),
        ({"mixer": "gru", "dtype": "float32"}, H100, "the model has dtype float32, not bfloat16"),
    ],
)
def test_feed_forward_kernels_where_they_cannot_be_are_refused(model, devices, reason):
    """A run that is resumed has XLA there."""
    config = changed("small", model={**model, "feed_forward": "triton"})
    told = f"--feed-forward is triton, but {reason}; use --feed-forward auto or xla"
    with pytest.raises(ValueError, match=f"^{re.escape(told)}$"):
        choose_kernels(config, devices)
    choice = choose_kernels(config, devices, resumed=True)
    assert choice.apply(config).model.feed_forward == "xla"
    assert reason in str(choice)


def test_feed_forward_kernels_need_minibatches_of_whole_blocks():
    parts = {"env": {"max_steps": 30}, "model": {"feed_forward": "triton"}}
    with pytest.raises(ValueError, match="a minibatch has 120 agent steps, which is no multiple"):
        choose_kernels(changed("small", **parts), H100)


@without_card
def test_the_program_refuses_feed_forward_kernels_without_a_card(tmp_path, capsys):
    flags = ["--feed-forward", "triton", "--run-dir", str(tmp_path / "run")]
    assert main(["small", *flags]) == 2
    assert capsys.readouterr().err == (
        "error: --feed-forward is triton, but there is no CUDA device; "
        "use --feed-forward auto or xla\n"
    )
    assert not (tmp_path / "run").exists()


@without_card
def test_a_resumed_run_on_which_feed_forward_kernels_fail_has_xla():
    config = changed("small", model={"feed_forward": "triton"})
    choice = KernelChoice("elsewhere", "elsewhere", "")
    with pytest.raises(ValueError, match="but a feed-forward layer by Triton fails on this device"):
        try_kernels(config, choice)
    tried = try_kernels(config, choice, resumed=True)
    assert tried.feed_forward == "xla"
    assert tried.apply(config).model.feed_forward == "xla"


def test_the_feed_forward_kernels_are_tried_forwards_and_backwards(monkeypatch):
    tried = []

    def difference(name, one, other, inputs):
        shapes = [jax.eval_shape(lambda f=f: f(*inputs)) for f in (one, other)]
        assert jax.tree.leaves(shapes[0]) == jax.tree.leaves(shapes[1])
        tried.append((name, len(jax.tree.leaves(shapes[0]))))
        return ""

    monkeypatch.setattr(kernel_choice, "_difference", difference)
    config = changed("small", model={"feed_forward": "triton"})
    choice = KernelChoice("elsewhere", "elsewhere", "")
    assert try_kernels(config, choice) == choice
    assert tried == [("a feed-forward layer by Triton", 5)]


@without_card
@pytest.mark.parametrize(("option", "kernel"), [("attention", "cudnn"), ("decode", "triton")])
def test_the_program_refuses_a_kernel_without_a_card(option, kernel, tmp_path, capsys):
    assert main(["small", f"--{option}", kernel, "--run-dir", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err == (
        f"error: --{option} is {kernel}, but there is no CUDA device; use --{option} auto or xla\n"
    )
    assert not (tmp_path / "run").exists()


@without_card
@pytest.mark.parametrize(
    ("steps", "kernel", "name"), [(None, "cudnn", "cuDNN"), (64, "triton", "Triton")]
)
def test_a_run_on_which_the_kernels_fail_has_xla(steps, kernel, name):
    config = changed("small", method={"rollout_steps": steps})
    tried = try_kernels(config, KernelChoice(cuda_kernel=kernel))
    assert (tried.kernel, tried.decode) == ("xla", "xla")
    assert re.fullmatch(rf"{name}'s attention fails on this device \(.+\)", tried.refusal)
    assert re.fullmatch(r"decoding by Triton fails on this device \(.+\)", tried.decode_refusal)


@pytest.mark.parametrize("steps", [None, 60])
@pytest.mark.parametrize("kv_dtype", ["model", "int8"])
def test_the_kernel_is_tried_with_caches_like_those_of_the_run(kv_dtype, steps, monkeypatch):
    tried = []

    def difference(name, one, other, inputs):
        tried.extend([name, jax.tree.leaves(jax.eval_shape(lambda: other(*inputs))), inputs])
        return ""

    monkeypatch.setattr(kernel_choice, "_difference", difference)
    config = changed("small", model={"kv_dtype": kv_dtype}, method={"rollout_steps": steps})
    refused = KernelChoice("set by --attention")
    assert try_kernels(config, refused) == refused
    name, (out, *after), (_, turn, *before, _, first) = tried
    assert (len(turn), len(first)) == ((1, 1) if steps is None else (2, 2))
    assert (name, out.dtype) == ("decoding by Triton", jnp.bfloat16)
    dtypes = [leaf.dtype.name for leaf in jax.tree.leaves(before)]
    assert dtypes == [leaf.dtype.name for leaf in after]
    assert dtypes == (["bfloat16"] if kv_dtype == "model" else ["int8", "bfloat16"]) * 2


@pytest.mark.parametrize("window", [None, 1, 20])
def test_attention_over_kept_tokens_is_tried_where_an_episode_ends(window, monkeypatch):
    tried = []

    def difference(name, one, other, inputs):
        shapes = [jax.tree.leaves(jax.eval_shape(f, *inputs)) for f in (one, other)]
        assert shapes[0] == shapes[1]
        tried.append((name, inputs[0].shape))
        return ""

    monkeypatch.setattr(kernel_choice, "_difference", difference)
    config = changed("small", model={"window": window}, method={"rollout_steps": 60})
    choice = KernelChoice("", "set by --decode", cuda_kernel="triton")
    assert try_kernels(config, choice) == choice
    assert tried == [("Triton's attention", (2, 60, 2, 32))]
    *_, first, used = kernel_choice._kept(config)
    first, own = np.asarray(first), int(used) + np.arange(60)
    assert (np.diff(first, axis=1) >= 0).all()
    assert (first <= own).all()
    assert first[1, 20] == own[20]
    if window is not None:
        assert (first > own - window).all()


def test_what_is_zero_for_both_kernels_is_no_difference():
    zero, one = jnp.zeros(3), jnp.ones(3)
    assert kernel_choice._relative_errors([zero, one], [zero, one]) == [0, 0]
    small, large = kernel_choice._relative_errors([1e-6 * one, 1.5 * one], [zero, one])
    assert small == pytest.approx(1e-3)
    assert large == pytest.approx(0.5)


@without_card
def test_cudnn_that_fails_where_it_is_asked_for_is_refused():
    config = changed("small", model={"attention": "cudnn"})
    with pytest.raises(ValueError, match="but cuDNN's attention fails on this device"):
        try_kernels(config, KernelChoice(decode_refusal="set by --decode"))


def equations(jaxpr):
    """Of a jaxpr and of all within it."""
    for equation in jaxpr.eqns:
        yield equation
        for param in jax.tree.leaves(list(equation.params.values()), is_leaf=is_jaxpr):
            if is_jaxpr(param):
                yield from equations(getattr(param, "jaxpr", param))


def is_jaxpr(x):
    return isinstance(getattr(x, "jaxpr", x), Jaxpr)


FIRST = {
    "all": lambda used: [0],
    "itself": lambda used: [used],
    "window": lambda used: [max(used - 39, 0)],
    "streams": lambda used: [0, used - used // 3],
}
"""The first slots that the tokens of two streams see; where they differ, so do positions."""


def for_decoding(heads, first, in_8_bits):
    """All arguments of `decode` but the place in the cache and the first slots."""
    num_heads, num_kv_heads = heads
    numbers = np.random.default_rng(0)
    shapes = [(2, num_heads + 2 * num_kv_heads, 16), *[(2, num_kv_heads, 96, 16)] * 2]
    new, *caches = [jnp.asarray(numbers.normal(size=shape), jnp.bfloat16) for shape in shapes]
    if in_8_bits:
        caches = map(quantized, caches)
    angle = jnp.arange(16, dtype=jnp.float32).reshape(2, 8)
    return new, turn_of(angle[: len(FIRST[first](9))]), *caches


@pytest.mark.slow
@pytest.mark.parametrize("in_8_bits", [False, True])
@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("heads", [(4, 1), (4, 2), (3, 1), (32, 1)])
def test_decoding_by_triton_is_that_of_xla(heads, first, in_8_bits):
    """The kernel is interpreted."""
    arrays = for_decoding(heads, first, in_8_bits)
    of_triton = jax.jit(partial(by_triton, interpret=True))
    for used in (0, 1, 31, 32, 33, 95):
        more = jnp.int32(used), jnp.array(FIRST[first](used), jnp.int32)
        (one, *caches), (other, *others) = (
            f(*arrays, *more) for f in (of_triton, jax.jit(decode_by_xla))
        )
        np.testing.assert_allclose(*(x.astype(jnp.float32) for x in (one, other)), atol=0.03)
        for pair in zip(*map(jax.tree.leaves, (caches, others)), strict=True):
            np.testing.assert_array_equal(*pair)


@pytest.mark.slow
@pytest.mark.parametrize("in_8_bits", [False, True])
def test_many_seeds_decode_side_by_side(in_8_bits):
    """As one program, in which they have the place in the cache in common or not."""
    numbers = np.random.default_rng(0)
    shapes = (3, 2, 6, 16), (3, 2, 1, 64, 16), (3, 2, 1, 64, 16)
    arrays = [jnp.asarray(numbers.normal(size=shape), jnp.bfloat16) for shape in shapes]
    if in_8_bits:
        arrays = [arrays[0], *map(quantized, arrays[1:])]
    arrays.insert(1, turn_of(jnp.arange(8, dtype=jnp.float32)[None]))
    for used, axis in ((jnp.int32(40), None), (jnp.array([0, 31, 63]), 0)):
        first = jnp.array([[0], [10], [20]])
        one, other = (
            jax.vmap(each, (0, None, 0, 0, axis, 0))(*arrays, used, first)[0].astype(jnp.float32)
            for each in (partial(by_triton, interpret=True), decode_by_xla)
        )
        np.testing.assert_allclose(one, other, atol=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mixer", "dtype"),
    breadth(
        [(mixer, dtype) for mixer in MIXERS for dtype in ("float32", "bfloat16")],
        ("attention", "float32"),
        ("gru", "float32"),
        ("gla", "bfloat16"),
    ),
)
def test_float32_products_are_not_left_to_tf32(mixer, dtype):
    config = changed("small", model={"mixer": mixer, "dtype": dtype})
    run = abstract_run(config)

    def gradient(params, data):
        loss = partial(minibatch_loss, config, run.graphdef)
        return jax.grad(loss, has_aux=True)(params, data)[0]

    def rollout(params, key):
        model = nnx.merge(run.graphdef, params)
        return make_batch(config.ppo, collect(config, run.env, model, None, key, key))

    key = jax.random.key(0)
    jaxprs = [
        jax.make_jaxpr(gradient)(run.learner.params, run.minibatch),
        jax.make_jaxpr(rollout)(run.learner.params, key),
    ]
    products = [
        equation
        for jaxpr in jaxprs
        for equation in equations(jaxpr.jaxpr)
        if equation.primitive.name == "dot_general"
        and all(operand.aval.dtype == jnp.float32 for operand in equation.invars)
    ]
    assert len(products) > 3
    highest = (jax.lax.Precision.HIGHEST,) * 2
    assert {equation.params["precision"] for equation in products} == {highest}


@pytest.mark.slow
def test_no_cache_is_copied_in_a_rollouts_loops():
    """In the program that XLA makes for a CPU."""
    config = changed("small", env={"max_steps": 128}, model={"dtype": "float32"})
    env, batch = config.make_env(), 8
    run = abstract_run(config)

    def rollout(params, key):
        levels = jax.vmap(env.generate)(jax.random.split(key, batch // env.num_agents))
        return play(env, model_policy(nnx.merge(run.graphdef, params)), levels, key).rollout

    text = jax.jit(rollout).lower(run.learner.params, jax.random.key(0)).compile().as_text()
    computations = re.split(r"\n(?=\S)", text)
    loops = set(re.findall(r"body=%([\w.-]+)", text))
    bodies = [x for x in computations if x.split(" ")[0].lstrip("%") in loops]
    head = f"{config.model.num_kv_heads},"
    cache = re.compile(rf" = f32\[{batch},{head}(?:32,(?:64|128)|(?:64|128),32)\]\S* copy\(")
    assert len(bodies) >= 2
    assert sum("dynamic-update-slice" in body for body in bodies) >= 2
    assert not [line for body in bodies for line in body.splitlines() if cache.search(line)]
