"""Small off-policy runs, as fast to compile as they can be."""

import json
from dataclasses import replace

import jax

from gridmem.baselines.config import EnvSettings, ModelConfig, TrainConfig, from_dict, to_dict
from gridmem.baselines.offpolicy.settings import AcceleratorConfig, SACConfig, TD3Config
from gridmem.baselines.runs import checkpoint
from gridmem.baselines.training.loop import Run

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


def run(config, folder):
    config = from_dict({**json.loads(json.dumps(to_dict(config))), "run_dir": str(folder)})
    if (folder / "checkpoint").exists():
        return Run.resumed("small", config, "resume").run()
    return Run.new("small", config, "resume", "").run()


def rows_of(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def state_of(config, folder):
    like = config.make_method().init()
    return jax.device_get(jax.tree.map(data_of, checkpoint.load(folder / "checkpoint", like)))


def data_of(leaf):
    is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return jax.random.key_data(leaf) if is_key else leaf
