"""The file of weights: it comes back bit for bit, and invalid files are refused."""

import json
import struct
from dataclasses import replace

import jax
import numpy as np
import pytest
import safetensors.numpy
import tiny
from flax import nnx

import gridmem
from gridmem.baselines.config import from_dict, to_dict
from gridmem.baselines.model.actor_critic import num_parameters
from gridmem.baselines.ppo.learner import build_model
from gridmem.baselines.runs import weights
from gridmem.envs.types import Observation

STEPS = 1280


@pytest.fixture(scope="module")
def params():
    return tiny.start(replace(tiny.CONFIG, seed=5))[1].params


@pytest.fixture(scope="module")
def data(params):
    return weights.to_bytes(tiny.CONFIG, params, STEPS)


def like(config):
    shape = nnx.eval_shape(lambda: build_model(config, config.make_env(), jax.random.key(0)))
    return nnx.split(shape)[1]


def header_of(data):
    (size,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + size])


def test_parameters_come_back_bit_for_bit(params, data, tmp_path):
    path = tmp_path / "agent.safetensors"
    path.write_bytes(data)
    found = weights.read_params(path, like(tiny.CONFIG))
    assert jax.tree.structure(found) == jax.tree.structure(params)
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(params), strict=True)
    assert all(one.dtype == other.dtype and (one == other).all() for one, other in pairs)
    assert weights.read_config(path) == tiny.CONFIG


@pytest.mark.parametrize(
    "model",
    [
        {"mixer": "none"},
        {"qk_norm": True},
        {"value_head": "hl_gauss"},
        {"dtype": "bfloat16"},
        {"predict_view_coef": 1.0},
    ],
    ids=str,
)
def test_every_kind_of_model_comes_back(model, tmp_path):
    config = tiny.config(model=model, env={"compass": True})
    _, learner = tiny.start(config)
    path = tmp_path / "agent.safetensors"
    path.write_bytes(weights.to_bytes(config, learner.params, 0))
    found = weights.read_params(path, like(config))
    for one, other in zip(tiny.host(found), tiny.host(learner.params), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_metadata_has_the_config_of_the_run(data):
    metadata = header_of(data)["__metadata__"]
    assert metadata.keys() == {"format", "config", "steps", "gridmem"}
    assert metadata["format"] == "gridmem-agent-1"
    assert json.loads(metadata["config"]) == to_dict(tiny.CONFIG)
    assert from_dict(json.loads(metadata["config"])) == tiny.CONFIG
    assert (metadata["steps"], metadata["gridmem"]) == ("1280", gridmem.__version__)


def test_equal_agents_are_equal_files(params):
    assert len({weights.to_bytes(tiny.CONFIG, params, STEPS) for _ in range(8)}) == 1


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_non_finite_numbers_are_refused(params, number, tmp_path):
    broken = jax.tree.map(lambda x: x, params)
    broken["value_in"][...] = broken["value_in"][...].at[1, 2].set(number)
    path = tmp_path / "agent.safetensors"
    path.write_bytes(weights.to_bytes(tiny.CONFIG, broken, STEPS))
    with pytest.raises(ValueError, match="its tensor value_in has numbers that are not finite"):
        weights.read_params(path, like(tiny.CONFIG))


def test_tensors_have_the_names_of_the_model(params, data):
    tensors = safetensors.numpy.load(data)
    layer = ["mixer_norm.scale", "mixer.query", "mixer.key", "mixer.value", "mixer.out"]
    layer += ["ff_norm.scale", "ff.gate", "ff.up", "ff.down"]
    names = ["view", "action", "reward", "final_norm.scale", "value_in", "value_bias", "value_out"]
    names += [f"blocks.{i}.{name}" for i in range(2) for name in layer]
    assert tensors.keys() == set(names)
    assert sum(tensor.size for tensor in tensors.values()) == num_parameters(params)
    second = np.asarray(params["blocks"][1]["mixer"]["query"][...])
    np.testing.assert_array_equal(tensors["blocks.1.mixer.query"], second)
    assert {str(tensor.dtype) for tensor in tensors.values()} == {"float32"}


def test_more_than_ten_layers_keep_their_order(tmp_path):
    config = tiny.config(model={"num_layers": 11, "width": 4, "ff_width": 4, "value_width": 4})
    graphdef, params = nnx.split(build_model(config, config.make_env(), jax.random.key(0)))
    path = tmp_path / "agent.safetensors"
    path.write_bytes(weights.to_bytes(config, params, 0))
    found = nnx.merge(graphdef, weights.read_params(path, like(config)))
    model = nnx.merge(graphdef, params)
    for one, other in zip(found.blocks, model.blocks, strict=True):
        np.testing.assert_array_equal(one.ff.up[...], other.ff.up[...])


def norm(x, scale):
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6) * scale


def gelu(x):
    return 0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3)))


def gated(x, w, prefix, names):
    gate, up, down = (w[f"{prefix}.{name}"] for name in names)
    return (gelu(x @ gate) * (x @ up)) @ down


def attention(x, w, prefix, model):
    """Of one sequence, head by head."""
    num, dim = len(x), model["head_dim"]
    group = model["num_heads"] // model["num_kv_heads"]
    rates = model["rope_base"] ** (-2 * np.arange(dim // 2) / dim)
    turns = np.exp(1j * np.arange(num)[:, None] * rates)

    def heads(name):
        return (x @ w[f"{prefix}.{name}"]).reshape(num, -1, dim).swapaxes(0, 1)

    def turned(x, name):
        if model["qk_norm"]:
            x = norm(x, w[f"{prefix}.{name}_norm.scale"])
        pairs = (x[:, : dim // 2] + 1j * x[:, dim // 2 :]) * turns
        return np.concatenate([pairs.real, pairs.imag], axis=1)

    def kept(x):
        if model["kv_dtype"] == "model":
            return x
        most = np.abs(x).max(axis=-1, keepdims=True)
        return np.round(127 * x / most) * most / 127

    keys, values, outs = heads("key"), kept(heads("value")), []
    distance = np.arange(num)[:, None] - np.arange(num)
    visible = (distance >= 0) & (distance < (model["window"] or num))
    for head, query in enumerate(heads("query")):
        key = kept(turned(keys[head // group], "key"))
        scores = np.where(visible, np.exp(turned(query, "query") @ key.T / dim**0.5), 0)
        outs.append(scores / scores.sum(axis=1, keepdims=True) @ values[head // group])
    return np.concatenate(outs, axis=1) @ w[f"{prefix}.out"]


def by_hand(data, obs):
    """Logits and value outputs of one sequence, by what `docs/agents.md` says of the file."""
    w = {name: x.astype(np.float64) for name, x in safetensors.numpy.load(data).items()}
    model = json.loads(header_of(data)["__metadata__"]["config"])["model"]
    tiles = np.eye(5)[obs.view].reshape(len(obs.view), -1)
    x = tiles @ w["view"] + w["action"][obs.last_action] + obs.last_reward[:, None] * w["reward"]
    if "compass" in w:
        x += obs.compass @ w["compass"]
    for i in range(model["num_layers"]):
        block = f"blocks.{i}"
        seen = norm(x, w[f"{block}.mixer_norm.scale"])
        if model["mixer"] == "attention":
            x = x + attention(seen, w, f"{block}.mixer", model)
        else:
            x = x + gated(seen, w, f"{block}.mixer", ("gate", "value", "out"))
        seen = norm(x, w[f"{block}.ff_norm.scale"])
        x = x + gated(seen, w, f"{block}.ff", ("gate", "up", "down"))
    x = norm(x, w["final_norm.scale"])
    hidden = gelu(x @ w["value_in"] + w["value_bias"])
    return x @ w["action"][:4].T, hidden @ w["value_out"]


@pytest.mark.parametrize(
    "model",
    [
        {},
        {"mixer": "none"},
        {"window": 4, "qk_norm": True, "value_head": "hl_gauss"},
        {"kv_dtype": "int8"},
    ],
    ids=str,
)
def test_the_network_by_hand(model):
    config = tiny.config(model=model, env={"compass": True})
    graphdef, learner = tiny.start(config)
    params = jax.tree.map(lambda x: 3 * x, learner.params)
    num, rng = 12, np.random.default_rng(0)
    obs = Observation(
        view=rng.integers(5, size=(num, 5, 5), dtype=np.uint8),
        last_action=rng.integers(5, size=num, dtype=np.int32),
        last_reward=rng.integers(2, size=num).astype(np.float32),
        compass=rng.normal(size=(num, 2)).astype(np.float32),
    )
    model = nnx.merge(graphdef, params)
    batch = jax.tree.map(lambda x: jax.numpy.asarray(x)[None], obs)
    wanted = jax.jit(lambda obs: model.sequence(obs, model.init_cache(1, 0)))(batch)
    found = by_hand(weights.to_bytes(config, params, 0), obs)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other[0], rtol=1e-3, atol=1e-3)
        assert np.std(one) > 0.1


METADATA = {"format": weights.FORMAT, "config": json.dumps(to_dict(tiny.CONFIG))}


def with_config(text):
    return lambda tensors: safetensors.numpy.save(tensors, METADATA | {"config": text})


def with_tensors(change):
    return lambda tensors: safetensors.numpy.save(change(tensors), METADATA)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda tensors: b"", r"it is damaged \(.*header too small\)"),
        (lambda tensors: b"no weights at all" * 9, r"it is damaged \(.*header too large\)"),
        (safetensors.numpy.save, "its format is None; it must be 'gridmem-agent-1'"),
        (
            lambda tensors: safetensors.numpy.save(tensors, {"format": "pt"}),
            "its format is 'pt'; it must be 'gridmem-agent-1'",
        ),
        (
            lambda tensors: safetensors.numpy.save(tensors, {"format": weights.FORMAT}),
            "its configuration is not a dict of settings",
        ),
        (with_config("[1]"), "its configuration is not a dict of settings"),
        (with_config("{"), "Expecting property name"),
        (with_config('{"sead": 3}'), r"there is no setting 'sead' \(did you mean 'seed'"),
        (with_config('{"env": {"env_id": "x"}}'), "there is no environment 'x'"),
        (
            with_config(json.dumps(to_dict(tiny.config(model={"ff_width": 24})))),
            r"tensor blocks.0.ff.down is F32\[16, 16\]; by its config.* must be F32\[24, 16\]",
        ),
        (
            with_config(json.dumps({"model": {"value_head": "mse"}})),
            r"its tensor .* by its configuration it must be",
        ),
        (
            with_tensors(lambda tensors: {k: v for k, v in tensors.items() if k != "reward"}),
            r"its tensor reward is missing; by its configuration it must be F32\[1, 16\]",
        ),
        (
            with_tensors(lambda tensors: tensors | {"zebra": np.zeros(3)}),
            r"its tensor zebra is F64\[3\]; by its configuration it must be absent",
        ),
        (
            with_tensors(lambda tensors: tensors | {"reward": np.zeros((1, 16))}),
            r"its tensor reward is F64\[1, 16\]; .* must be F32\[1, 16\]",
        ),
    ],
)
def test_invalid_files_are_refused(make, sentence, data, tmp_path):
    path = tmp_path / "agent.safetensors"
    path.write_bytes(make(dict(safetensors.numpy.load(data))))
    with pytest.raises(ValueError, match=sentence) as error:
        weights.read_params(path, like(weights.read_config(path)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("share", [0.001, 0.3, 0.999])
def test_a_truncated_file_is_refused(share, data, tmp_path):
    path = tmp_path / "agent.safetensors"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ValueError, match="it is damaged"):
        weights.read_config(path)


@pytest.mark.parametrize("attention", ["cudnn", "triton"])
def test_a_loaded_agent_plays_with_kernels_that_any_device_has(attention, params, tmp_path):
    kernels = {"feed_forward": "triton", "decode": "triton", "attention": attention}
    config = replace(tiny.CONFIG, model=replace(tiny.CONFIG.model, **kernels))
    (tmp_path / "agent.safetensors").write_bytes(weights.to_bytes(config, params, 0))
    agent = gridmem.baselines.load(tmp_path)
    assert agent.config == config
    for method in (agent.method, agent.method.acting):
        model = method.config.model
        assert (model.feed_forward, model.decode, model.attention) == ("auto", "auto", "auto")
