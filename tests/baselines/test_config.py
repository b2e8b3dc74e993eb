import json
import math
import re
from dataclasses import fields, is_dataclass, replace

import jax
import jaxtyping
import pytest
import tiny
from breadth import breadth
from flax import nnx

import gridmem
from gridmem.baselines.config import (
    EnvSettings,
    ModelConfig,
    OptimizerConfig,
    PPOConfig,
    TD3Config,
    TrainConfig,
    from_dict,
    to_dict,
)
from gridmem.baselines.model.actor_critic import num_parameters
from gridmem.baselines.ppo.learner import build_model
from gridmem.baselines.presets import PRESETS, preset

CHANGED = tiny.config(
    env={"view_size": 7, "num_agents": 2},
    model={"dtype": "bfloat16", "mixer": "none", "window": 8, "value_head": "hl_gauss"},
    method={"rollout_steps": 4},
    optimizer={"learning_rate": 0.0625, "optimizer": "muon", "muon_rms": None},
    seed=5,
    run_dir="somewhere",
)


# Presets whose environments are in extras.
EXTERNAL = {name for name, (_, config) in PRESETS.items() if callable(config)}


@pytest.mark.parametrize(
    "config",
    ["changed", *breadth(PRESETS, *(name for name in PRESETS if name not in EXTERNAL))],
)
def test_a_config_survives_json(config):
    if config in EXTERNAL:
        pytest.importorskip("craftax")
        pytest.importorskip("xminigrid")
        pytest.importorskip("mujoco")
    config = CHANGED if config == "changed" else preset(config)
    again = from_dict(json.loads(json.dumps(to_dict(config))))
    assert again == config
    assert hash(again) == hash(config)


def test_every_setting_is_written():
    def names(config):
        values = {f.name: getattr(config, f.name) for f in fields(config)}
        values = {name: list(x) if isinstance(x, tuple) else x for name, x in values.items()}
        return {name: names(x) if is_dataclass(x) else x for name, x in values.items()}

    env = {"env_id": "GridMem-9x9-v0", "view_size": 7, "num_agents": 2, "max_steps": 16}
    env |= {"goal_moves": None, "compass": None}
    expected = {**names(CHANGED), "env": env}
    expected["method"] = {"type": "ppo", **expected["method"]}
    assert to_dict(CHANGED) == expected


OTHER_ENVS = {
    "dig": {"env_id": "GridMem-Dig-v0", "dig_steps": 2, "max_steps": 64},
    "tour": {"task": {"type": "Tour", "num_goals": 2}, "threshold": 0.25},
    "text": {"map": {"type": "TextMap", "rows": ["#####", "#.G.#", "#####"]}},
}


@pytest.mark.parametrize("env", OTHER_ENVS.values(), ids=OTHER_ENVS)
def test_an_environment_may_have_any_option(env):
    config = from_dict({"env": env})
    options = {name: value for name, value in env.items() if name != "env_id"}
    assert config.make_env() == gridmem.make(env.get("env_id", "GridMem-9x9-v0"), **options)
    again = from_dict(json.loads(json.dumps(to_dict(config))))
    assert again == config
    assert hash(again) == hash(config)


def test_options_of_an_environment_may_be_objects():
    config = TrainConfig(env=EnvSettings(task=gridmem.Tour(num_goals=2)))
    assert config == from_dict({"env": {"task": {"type": "Tour", "num_goals": 2}}})
    assert config.make_env().config.task == gridmem.Tour(num_goals=2)


def test_an_option_that_is_none_is_that_of_the_id():
    settings = EnvSettings("GridMem-v0", num_agents=3, view_size=7)
    assert replace(settings, view_size=None) == EnvSettings("GridMem-v0", num_agents=3)
    assert replace(settings, env_id="GridMem-9x9-v0").options == settings.options


def test_missing_settings_get_defaults():
    assert from_dict({}) == TrainConfig()
    assert from_dict({"seed": 3, "ppo": {"gamma": 0.5}}) == TrainConfig(
        seed=3, method=replace(TrainConfig().ppo, gamma=0.5)
    )


def test_a_whole_number_may_have_a_point():
    config = from_dict({"total_steps": 1e6, "env": {"view_size": 5.0}, "ppo": {"gamma": 1}})
    assert (config.total_steps, config.env.options["view_size"]) == (10**6, 5)
    assert isinstance(config.total_steps, int)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"sed": 1}, "no setting 'sed' (did you mean 'seed'?) in TrainConfig"),
        ({"ppo": {"gama": 1}}, "no setting 'gama' (did you mean 'gamma'?) in PPOConfig"),
        ({"model": {"zzz": 1}}, "no setting 'zzz' in ModelConfig; it has mixer, num_layers"),
        ({"ppo": 3}, "setting 'method' is 3; it must be a dict of settings"),
        ({"env": 3}, "setting 'env' is 3; it must be a dict of settings"),
        ({"env": {"max_step": 3}}, "no option 'max_step' (did you mean 'max_steps'?)"),
        ({"init_parts": "blocks"}, "--init-parts says what is taken of a run; name it with --init"),
    ],
)
def test_settings_that_mean_nothing_are_refused(data, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        from_dict(data)


def test_ids_of_a_mixture_may_have_spaces_between_them():
    assert EnvSettings("GridMem-9x9-v0 + GridMem-13x13-v0").env_id == (
        "GridMem-9x9-v0+GridMem-13x13-v0"
    )


def test_presets_are_found_by_name():
    plain = {name: config for name, (_, config) in PRESETS.items() if name not in EXTERNAL}
    assert all(preset(name) == config for name, config in plain.items())
    with pytest.raises(ValueError, match=r"no preset 'quikstart' \(did you mean 'quickstart'\?\)"):
        preset("quikstart")


def test_the_presets_are_those_of_the_design():
    depths = [f"depth-{num_layers}" for num_layers in (1, 2, 4, 8, 16)]
    assert {"quickstart", "reference", "dig", "single", *depths} <= set(PRESETS)
    assert all(about for about, _ in PRESETS.values())


def test_the_reference_has_the_published_shape():
    reference = preset("reference")
    env, model, ppo = reference.make_env(), reference.model, reference.ppo
    assert (reference.env.env_id, env.view_size, env.max_steps) == ("GridMem-v0", 5, 512)
    assert (env.num_agents, ppo.num_envs) == (16, 256)
    assert (model.mixer, model.num_layers, model.width, model.ff_width) == (
        "attention",
        6,
        128,
        768,
    )
    assert (model.num_heads, model.num_kv_heads, model.head_dim) == (4, 1, 32)
    assert (model.dtype, model.value_head) == ("bfloat16", "hl_gauss")
    assert (ppo.num_epochs, ppo.num_minibatches, ppo.rollout_steps) == (1, 16, None)
    assert reference.optimizer.optimizer == "muon"
    assert reference.steps_per_update == 256 * 16 * 512


def parameters(config):
    env = config.make_env()
    model = nnx.eval_shape(lambda: build_model(config, env, jax.random.key(0)))
    return num_parameters(nnx.state(model))


def test_the_reference_has_about_two_million_parameters():
    # A block: 128 x 768 three times, queries and outputs 128 x 128, key and value 128 x 32.
    block = 3 * 128 * 768 + 2 * 128 * 128 + 2 * 128 * 32 + 2 * 128
    outside = (125 + 5 + 1) * 128 + 128 + (128 + 1 + 51) * 768
    assert parameters(preset("reference")) == 6 * block + outside
    assert 2.1e6 < 6 * block + outside < 2.3e6


def test_presets_differ_from_the_reference_in_what_they_are_named_for():
    reference = preset("reference")
    for num_layers in (1, 2, 4, 8, 16):
        deep = preset(f"depth-{num_layers}")
        assert deep.model.num_layers == num_layers
        assert replace(deep, model=replace(deep.model, num_layers=6)) == reference
    dig = preset("dig")
    assert dig.make_env().config.dig_steps > 0
    assert replace(dig, env=reference.env) == reference
    single = preset("single")
    assert single.make_env().num_agents == 1
    assert single.steps_per_update == reference.steps_per_update
    again = replace(single, env=reference.env, method=replace(single.ppo, num_envs=256))
    assert again == reference


def test_small_has_every_part_of_the_reference():
    small, reference = preset("small"), preset("reference")
    for part, name in (("model", "mixer"), ("model", "dtype"), ("model", "value_head")):
        assert getattr(getattr(small, part), name) == getattr(getattr(reference, part), name)
    assert small.optimizer.optimizer == reference.optimizer.optimizer
    assert small.make_env().num_agents > 1
    assert parameters(small) < 0.1 * parameters(reference)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ModelConfig(num_layers=0), "num_layers is 0; it must be a whole number above 0"),
        (lambda: ModelConfig(width=-1), "width is -1; it must be a whole number above 0"),
        (lambda: ModelConfig(value_width=0), "value_width is 0"),
        (lambda: ModelConfig(head_dim=7), "head_dim is 7; it must be even"),
        (
            lambda: ModelConfig(num_heads=3, num_kv_heads=2),
            "num_heads is 3 and num_kv_heads 2; the first must be a multiple of the second",
        ),
        (lambda: ModelConfig(rope_base=0.0), "rope_base is 0.0; it must be a number above 0"),
        (lambda: ModelConfig(window=0), "window is 0; it must be a whole number above 0"),
        (lambda: ModelConfig(window=2.5), "window is 2.5; it must be a whole number or None"),
        (lambda: ModelConfig(mixer="atention"), "mixer is 'atention'; it must be one of attention"),
        (lambda: ModelConfig(dtype="float16"), "it must be one of float32, bfloat16"),
        (
            lambda: ModelConfig(value_head="l2"),
            "value_head is 'l2'; it must be one of mse, hl_gauss",
        ),
        (lambda: ModelConfig(value_bins=0), "value_bins is 0; it must be a whole number above 0"),
        (lambda: ModelConfig(value_bins=1), "value_bins is 1; it must be 2 or more"),
        (
            lambda: ModelConfig(feed_forward="cudnn"),
            "feed_forward is 'cudnn'; it must be one of auto, xla, triton",
        ),
        (
            lambda: TrainConfig(
                env=EnvSettings("GridMem-9x9-v0"),
                model=ModelConfig(feed_forward="triton"),
                method=TD3Config(),
            ),
            "--feed-forward triton is for ppo, and the method is td3; use auto",
        ),
        (
            lambda: ModelConfig(predict_view_coef=-1.0),
            "predict_view_coef is -1.0; it must be",
        ),
        (
            lambda: TrainConfig(
                env=EnvSettings("GridMem-9x9-v0"),
                model=ModelConfig(predict_view_coef=1.0),
                method=TD3Config(),
            ),
            "--predict-view-coef is for ppo, and the method is td3",
        ),
        (
            lambda: TrainConfig(
                env=EnvSettings("GridMem-9x9-v0+GridMem-13x13-v0"),
                model=ModelConfig(predict_view_coef=1.0, window=8),
                method=PPOConfig(rollout_steps=8),
            ),
            "--predict-view-coef is for one environment, not for a mixture",
        ),
        (
            lambda: ModelConfig(kv_dtype="int4"),
            "kv_dtype is 'int4'; it must be one of model, int8",
        ),
        (
            lambda: TrainConfig(model=ModelConfig(kv_dtype="int8", mixer="gru")),
            "--kv-dtype int8 is for attention, and the mixer is gru; use --kv-dtype model",
        ),
        (
            lambda: TrainConfig(
                env=EnvSettings("Pendulum-v1"),
                model=ModelConfig(kv_dtype="int8"),
                method=TD3Config(),
            ),
            "--kv-dtype is for ppo, and the method is td3",
        ),
        (lambda: ModelConfig(qk_norm="yes"), "qk_norm is 'yes'; it must be true or false"),
        (lambda: ModelConfig(rope_base="1e4"), "rope_base is '1e4'; it must be a number"),
        (lambda: PPOConfig(value_coef=None), "value_coef is None; it must be a number"),
        (lambda: PPOConfig(normalize_advantage=1), "normalize_advantage is 1; it must be true or"),
        (lambda: ModelConfig(value_sigma=0.0), "value_sigma is 0.0; it must be a number above 0"),
        (
            lambda: ModelConfig(value_min=2.0, value_max=2.0),
            "value_min is 2.0 and value_max 2.0; the first must be below the second",
        ),
        (lambda: ModelConfig(value_max=float("nan")), "value_min is -10.0 and value_max nan"),
        (lambda: ModelConfig(value_min=-math.inf), "value_min is -inf and value_max 10.0"),
        (lambda: PPOConfig(rollout_steps=0), "rollout_steps is 0; it must be a whole number above"),
        (
            lambda: tiny.config(method={"rollout_steps": 17}),
            "rollout_steps is 17; it must be at most the 16 of an episode",
        ),
        (
            lambda: OptimizerConfig(optimizer="sgd"),
            "optimizer is 'sgd'; it must be one of adamw, muon",
        ),
        (lambda: OptimizerConfig(muon_rms=0.0), "muon_rms is 0.0; it must be a number above 0"),
        (lambda: OptimizerConfig(muon_rms=math.inf), "muon_rms is inf"),
        (
            lambda: TrainConfig(checkpoint_seconds=-1.0),
            "checkpoint_seconds is -1.0; it must be 0 or more",
        ),
        (lambda: PPOConfig(policy_clip=-1.0), "policy_clip is -1.0"),
        (lambda: PPOConfig(entropy_coef=-0.1), "entropy_coef is -0.1; it must be 0 or more"),
        (
            lambda: tiny.config(method={"num_envs": 2**30 + 2}),
            "num_envs is 1073741826, which makes 1073741826 streams",
        ),
        (
            lambda: tiny.config(env={"max_steps": 2**31}),
            "max_steps is 2147483648; it must be below 2**31",
        ),
        (lambda: OptimizerConfig(b1=1.5), "b1 is 1.5; it must be from 0 to below 1"),
        (lambda: OptimizerConfig(weight_decay=-1.0), "weight_decay is -1.0; it must be 0 or more"),
        (lambda: PPOConfig(num_envs=0), "num_envs is 0"),
        (lambda: PPOConfig(num_epochs=0), "num_epochs is 0"),
        (lambda: PPOConfig(gamma="0.9"), "gamma is '0.9'; it must be a number"),
        (lambda: PPOConfig(gamma=True), "gamma is True; it must be a number"),
        (lambda: TrainConfig(seed=1.5), "seed is 1.5; it must be a whole number"),
        (lambda: TrainConfig(seed=True), "seed is True; it must be a whole number"),
        (lambda: TrainConfig(run_dir=3), "run_dir is 3; it must be text or None"),
        (lambda: EnvSettings(env_id=9), "env_id is 9; it must be text"),
        (
            lambda: EnvSettings(view_size="all"),
            "view_size is 'all'; it must be a whole number or full or None",
        ),
        (lambda: PPOConfig(gamma=1.5), "gamma is 1.5; it must be from 0 to 1"),
        (lambda: PPOConfig(td_lambda=-0.1), "td_lambda is -0.1; it must be from 0 to 1"),
        (lambda: PPOConfig(gamma=float("nan")), "gamma is nan"),
        (lambda: OptimizerConfig(learning_rate=0.0), "learning_rate is 0.0"),
        (lambda: OptimizerConfig(learning_rate=float("nan")), "learning_rate is nan"),
        (lambda: OptimizerConfig(max_grad_norm=-1.0), "max_grad_norm is -1.0"),
        (lambda: OptimizerConfig(warmup=1.0), "warmup is 1.0; it must be at least 0 and less"),
        (lambda: TrainConfig(total_steps=0), "total_steps is 0"),
        (lambda: TrainConfig(eval_levels=-1), "eval_levels is -1"),
        (lambda: TrainConfig(seed=-1), "seed is -1; it must be from 0 to 2**32 - 1"),
        (lambda: TrainConfig(seed=2**32), "seed is 4294967296"),
        (lambda: TrainConfig(env=EnvSettings(view_size=4)), "view_size is 4; it must be an odd"),
        (
            lambda: TrainConfig(env=EnvSettings(env_id="GridMem-9x8-v0")),
            "no environment 'GridMem-9x8-v0' (did you mean 'GridMem-9x9-v0'?)",
        ),
        (
            lambda: tiny.config(method={"num_minibatches": 3}),
            "num_minibatches is 3; it must divide the 8 streams (num_envs x agents)",
        ),
    ],
)
def test_impossible_settings_are_refused(monkeypatch, make, sentence):
    # Types are checked in the tests alone; what JSON brings is refused without that.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=re.escape(sentence)):
        make()


def test_the_settings_reach_the_environment():
    env = CHANGED.make_env()
    assert (env.num_agents, env.view_size, env.max_steps) == (2, 7, 16)


def test_a_run_is_rounded_up_to_whole_updates():
    # 8 environments of 1 agent for 16 steps: 128 agent steps an update.
    assert tiny.CONFIG.steps_per_update == 128
    assert replace(tiny.CONFIG, total_steps=128).num_updates == 1
    assert replace(tiny.CONFIG, total_steps=129).num_updates == 2
    # 8 environments of 2 agents for 4 steps.
    assert CHANGED.steps_per_update == 64
    assert replace(CHANGED, total_steps=65).num_updates == 2


def test_a_view_with_several_ids_in_a_cell_is_not_predicted():
    pytest.importorskip("craftax")
    with pytest.raises(ValueError, match="a view with one id in each cell, and Craftax-Classic"):
        TrainConfig(
            env=EnvSettings("Craftax-Classic-Symbolic-v1"),
            model=ModelConfig(predict_view_coef=1.0, window=8),
            method=PPOConfig(rollout_steps=8),
        )
