"""Small off-policy runs, as fast to compile as they can be."""

from dataclasses import replace

from gridmem.baselines.config import EnvSettings, ModelConfig, TrainConfig
from gridmem.baselines.offpolicy.settings import AcceleratorConfig, SACConfig, TD3Config

SETTINGS = {
    "context": 3,
    "buffer": 60,
    "learning_starts": 20,
    "batch_size": 8,
    "critic_width": 8,
    "critic_layers": 1,
    "update_steps": 20,
}
MODEL = ModelConfig(mixer="none", num_layers=1, width=8)
BLOCKS = replace(MODEL, mixer="gru", ff_width=8, num_heads=1, num_kv_heads=1, head_dim=8)
METHODS = {
    "td3": (TD3Config(**SETTINGS), MODEL),
    "sac": (SACConfig(**SETTINGS), MODEL),
    "accelerator": (AcceleratorConfig(**SETTINGS, stage1_steps=60, stage2_buffer=30), BLOCKS),
}


def config(name="td3", env_id="Pendulum-v1", options=None, **changes):
    """A run of 120 steps in episodes of 15, unless changed."""
    method, model = METHODS[name]
    own = {key: changes.pop(key) for key in list(changes) if hasattr(method, key)}
    options = {"max_steps": 15, "hide": "velocity"} if options is None else options
    return TrainConfig(
        env=EnvSettings(env_id, options=options),
        model=changes.pop("model", model),
        method=replace(method, **own),
        **{"total_steps": 120, "eval_levels": 4, **changes},
    )
