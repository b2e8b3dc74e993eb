import json
import re
from dataclasses import fields, is_dataclass, replace

import pytest
import tiny

from gridmem.baselines.config import (
    PRESETS,
    EnvSettings,
    ModelConfig,
    OptimizerConfig,
    PPOConfig,
    TrainConfig,
    from_dict,
    preset,
    to_dict,
)

CHANGED = tiny.config(
    env={"view_size": 7, "num_agents": 2},
    model={"dtype": "bfloat16", "mixer": "none"},
    optimizer={"learning_rate": 0.0625},
    seed=5,
    run_dir="somewhere",
)


@pytest.mark.parametrize("config", [CHANGED, *(config for _, config in PRESETS.values())])
def test_a_config_survives_json(config):
    again = from_dict(json.loads(json.dumps(to_dict(config))))
    assert again == config
    assert hash(again) == hash(config)


def test_every_setting_is_written():
    def names(config):
        return {
            f.name: names(value) if is_dataclass(value := getattr(config, f.name)) else value
            for f in fields(config)
        }

    assert to_dict(CHANGED) == names(CHANGED)


def test_missing_settings_get_defaults():
    assert from_dict({}) == TrainConfig()
    assert from_dict({"seed": 3, "ppo": {"gamma": 0.5}}) == TrainConfig(
        seed=3, ppo=replace(TrainConfig().ppo, gamma=0.5)
    )


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"sed": 1}, "no setting 'sed' (did you mean 'seed'?) in TrainConfig"),
        ({"ppo": {"gama": 1}}, "no setting 'gama' (did you mean 'gamma'?) in PPOConfig"),
        ({"model": {"zzz": 1}}, "no setting 'zzz' in ModelConfig; it has mixer, num_layers"),
        ({"ppo": 3}, "setting 'ppo' is 3; it must be a dict of settings"),
    ],
)
def test_unknown_settings_are_refused(data, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        from_dict(data)


def test_presets_are_found_by_name():
    assert all(preset(name) == config for name, (_, config) in PRESETS.items())
    with pytest.raises(ValueError, match=r"no preset 'quikstart' \(did you mean 'quickstart'\?\)"):
        preset("quikstart")


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
        (lambda: PPOConfig(policy_clip=-1.0), "policy_clip is -1.0"),
        (lambda: PPOConfig(entropy_coef=-0.1), "entropy_coef is -0.1; it must be 0 or more"),
        (lambda: OptimizerConfig(b1=1.5), "b1 is 1.5; it must be from 0 to below 1"),
        (lambda: OptimizerConfig(weight_decay=-1.0), "weight_decay is -1.0; it must be 0 or more"),
        (lambda: PPOConfig(num_envs=0), "num_envs is 0"),
        (lambda: PPOConfig(num_epochs=0), "num_epochs is 0"),
        (lambda: PPOConfig(gamma=1.5), "gamma is 1.5; it must be from 0 to 1"),
        (lambda: PPOConfig(td_lambda=-0.1), "td_lambda is -0.1; it must be from 0 to 1"),
        (lambda: PPOConfig(gamma=float("nan")), "gamma is nan"),
        (lambda: OptimizerConfig(learning_rate=0.0), "learning_rate is 0.0"),
        (lambda: OptimizerConfig(learning_rate=float("nan")), "learning_rate is nan"),
        (lambda: OptimizerConfig(max_grad_norm=-1.0), "max_grad_norm is -1.0"),
        (lambda: OptimizerConfig(warmup=1.0), "warmup is 1.0; it must be at least 0 and less"),
        (lambda: TrainConfig(total_steps=0), "total_steps is 0"),
        (lambda: TrainConfig(eval_levels=0), "eval_levels is 0"),
        (lambda: TrainConfig(seed=-1), "seed is -1; it must be from 0 to 2**32 - 1"),
        (lambda: TrainConfig(seed=2**32), "seed is 4294967296"),
        (lambda: TrainConfig(env=EnvSettings(view_size=4)), "view_size is 4; it must be an odd"),
        (
            lambda: TrainConfig(env=EnvSettings(env_id="GridMem-9x8-v0")),
            "no environment 'GridMem-9x8-v0' (did you mean 'GridMem-9x9-v0'?)",
        ),
        (
            lambda: tiny.config(ppo={"num_minibatches": 3}),
            "num_minibatches is 3; it must divide the 8 streams (num_envs x agents)",
        ),
    ],
)
def test_impossible_settings_are_refused(make, sentence):
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
    assert CHANGED.steps_per_update == 256
