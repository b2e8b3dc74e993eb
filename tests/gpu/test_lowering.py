"""What the trainer becomes for a GPU, told without one: programs are lowered, not run."""

import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest
from breadth import breadth
from flax import nnx
from jax._src.cudnn import fused_attention_stablehlo
from jax.extend.core import Jaxpr

from gridmem.baselines.attention_choice import AttentionChoice, choose_attention, try_attention
from gridmem.baselines.attention_kernels import cuda_capabilities, cudnn_refusal
from gridmem.baselines.learner import collect, loss, update
from gridmem.baselines.mixers import MIXERS
from gridmem.baselines.model_policy import model_policy
from gridmem.baselines.outline import outline
from gridmem.baselines.presets import preset
from gridmem.baselines.train import main
from gridmem.envs.unroll import play

H100 = [(9, 0)]
FORWARD, BACKWARD = "__cudnn$fmhaSoftmax(", "__cudnn$fmhaSoftmaxBackward("
without_card = pytest.mark.skipif(bool(cuda_capabilities()), reason="for machines without a card")


@pytest.fixture
def plugin(monkeypatch):
    """As with JAX's CUDA plugin, without which cuDNN's attention cannot be traced."""
    monkeypatch.setattr(fused_attention_stablehlo, "check_cudnn_version", lambda: 92600)


def changed(name, **parts):
    config = preset(name)
    return replace(config, **{k: replace(getattr(config, k), **v) for k, v in parts.items()})


def traced(config):
    """An update, not yet lowered for any platform."""
    run = outline(config)
    return update.trace(config, run.env, run.graphdef, run.learner)


def lowered(program, platform):
    return program.lower(lowering_platforms=(platform,)).as_text()


def test_the_reference_update_has_cudnn_attention_in_both_directions(plugin):
    config = choose_attention(preset("reference"), H100).apply(preset("reference"))
    text = lowered(traced(config), "cuda")
    layers = config.model.num_layers
    assert (text.count(FORWARD), text.count(BACKWARD)) == (layers, layers)


def test_the_platform_that_is_lowered_for_decides(plugin):
    config = changed("small", model={"attention": "cudnn"})
    program = traced(config)
    assert {name: "cudnn" in lowered(program, name) for name in ("cuda", "cpu", "rocm")} == {
        "cuda": True,
        "cpu": False,
        "rocm": False,
    }


@without_card
def test_without_plugin_and_card_attention_is_that_of_xla():
    config = preset("small")
    assert config.model.attention == "auto"
    assert choose_attention(config) == AttentionChoice("xla", "there is no CUDA device")
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
            "the device has compute capability 7.5, and 8.0 is the least",
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
    ("parts", "choice"),
    [
        ({}, AttentionChoice("cudnn")),
        ({"model": {"attention": "xla"}}, AttentionChoice("xla", "--attention says so")),
        ({"model": {"mixer": "gru", "attention": "cudnn"}}, AttentionChoice("xla")),
        (
            {"ppo": {"rollout_steps": 64}},
            AttentionChoice("xla", "--rollout-steps needs masks that cuDNN does not have"),
        ),
        (
            {"env": {"max_steps": 255}},
            AttentionChoice("xla", "a sequence has 255 steps, an odd number"),
        ),
    ],
)
def test_a_run_has_the_kernel_that_its_shapes_allow(parts, choice):
    assert choose_attention(changed("small", **parts), H100) == choice


def test_an_odd_sequence_never_reaches_cudnn(plugin):
    config = changed("small", env={"max_steps": 31}, model={"attention": "cudnn"})
    assert "cudnn" not in lowered(traced(config), "cuda")


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"ppo": {"rollout_steps": 64}}, "--rollout-steps needs masks that cuDNN does not have"),
        ({"model": {"dtype": "float32"}}, "the model has dtype float32, not bfloat16"),
    ],
)
def test_cudnn_where_it_cannot_be_is_refused(parts, reason):
    parts["model"] = {**parts.get("model", {}), "attention": "cudnn"}
    with pytest.raises(ValueError, match=f"^--attention is cudnn, but {re.escape(reason)}; use"):
        choose_attention(changed("small", **parts), H100)


@without_card
def test_the_program_refuses_cudnn_without_a_card(tmp_path, capsys):
    assert main(["small", "--attention", "cudnn", "--run-dir", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err == (
        "error: --attention is cudnn, but there is no CUDA device; use --attention auto or xla\n"
    )
    assert not (tmp_path / "run").exists()


@without_card
def test_a_run_on_which_cudnn_fails_has_xla():
    tried = try_attention(preset("small"), AttentionChoice("cudnn"))
    assert tried.kernel == "xla"
    assert re.fullmatch(r"cuDNN's attention fails on this device \(.+\)", tried.reason)


@without_card
def test_cudnn_that_fails_where_it_is_asked_for_is_refused():
    config = changed("small", model={"attention": "cudnn"})
    with pytest.raises(ValueError, match="but cuDNN's attention fails on this device"):
        try_attention(config, AttentionChoice("cudnn"))


def equations(jaxpr):
    """Of a jaxpr and of all within it."""
    for equation in jaxpr.eqns:
        yield equation
        for param in jax.tree.leaves(list(equation.params.values()), is_leaf=is_jaxpr):
            if is_jaxpr(param):
                yield from equations(getattr(param, "jaxpr", param))


def is_jaxpr(x):
    return isinstance(getattr(x, "jaxpr", x), Jaxpr)


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
    run = outline(config)

    def gradient(params, data):
        return jax.grad(lambda params: loss(config, run.graphdef, params, data)[0])(params)

    def rollout(params, key):
        return collect(config, run.env, nnx.merge(run.graphdef, params), None, key, key)

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


def test_no_cache_is_copied_in_a_rollouts_loops():
    """In the program that XLA makes for a CPU."""
    config = changed("small", env={"max_steps": 128}, model={"dtype": "float32"})
    env, batch = config.make_env(), 8
    run = outline(config)

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
