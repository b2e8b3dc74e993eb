"""Whole configurations by name."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

from gridmem.baselines.config import (
    EnvSettings,
    ModelConfig,
    OptimizerConfig,
    TrainConfig,
)
from gridmem.baselines.offline.settings import (
    AlgorithmName,
    DecisionTransformerConfig,
    TD3BCConfig,
)
from gridmem.baselines.offpolicy.settings import AcceleratorConfig, SACConfig, TD3Config
from gridmem.baselines.ppo.settings import CurriculumConfig, MixtureConfig, PPOConfig
from gridmem.baselines.registration import METHOD_CONFIGS, METHOD_PRESETS
from gridmem.envs.batch.mixture import SEPARATOR
from gridmem.envs.checks import unknown_name
from gridmem.envs.registry import CONFIGS, IMPORT_HINT, make_environment

_REFERENCE = TrainConfig(
    env=EnvSettings("GridMem-v0", num_agents=16),
    model=ModelConfig(
        num_layers=6,
        width=128,
        ff_width=768,
        num_heads=4,
        num_kv_heads=1,
        head_dim=32,
        value_width=768,
        value_head="hl_gauss",
        dtype="bfloat16",
    ),
    method=PPOConfig(
        num_envs=256,
        num_epochs=1,
        num_minibatches=16,
        gamma=0.96609,
        td_lambda=0.91237,
        policy_clip=0.28279,
        value_coef=0.53925,
        entropy_coef=8.270e-5,
        normalize_advantage=False,
    ),
    optimizer=OptimizerConfig(
        optimizer="muon",
        learning_rate=1e-3,
        warmup=0.0,
        weight_decay=1.0719e-4,
        b1=0.93535,
        b2=0.90402,
        max_grad_norm=0.39644,
        muon_rms=None,
    ),
    total_steps=8_000_000_000,
)


def _small() -> TrainConfig:
    """The reference's every part in a size for two CPU cores."""
    model = replace(
        _REFERENCE.model, num_layers=2, width=64, ff_width=128, num_heads=2, value_width=128
    )
    ppo = replace(
        _REFERENCE.ppo,
        num_envs=32,
        num_minibatches=32,
        entropy_coef=0.003,
        normalize_advantage=True,
    )
    return replace(
        _REFERENCE,
        env=EnvSettings("GridMem-9x9-v0", view_size=3, num_agents=4, max_steps=256),
        model=model,
        method=ppo,
        optimizer=replace(_REFERENCE.optimizer, warmup=0.02, max_grad_norm=1.0, muon_rms=0.2),
        total_steps=2_000_000,
    )


def _depth(num_layers: int) -> TrainConfig:
    return replace(_REFERENCE, model=replace(_REFERENCE.model, num_layers=num_layers))


def _craftax() -> TrainConfig:
    """The scoreboard's recipe for 1e9 steps of Craftax (docs/craftax.md)."""
    return TrainConfig(
        env=EnvSettings("Craftax-Symbolic-v1"),
        model=ModelConfig(
            num_layers=2,
            width=256,
            ff_width=768,
            num_heads=8,
            num_kv_heads=8,
            head_dim=32,
            value_width=256,
            window=128,
            dtype="bfloat16",
        ),
        method=PPOConfig(
            num_envs=1024,
            rollout_steps=128,
            num_epochs=4,
            num_minibatches=8,
            gamma=0.999,
            td_lambda=0.8,
            entropy_coef=0.002,
        ),
        optimizer=OptimizerConfig(learning_rate=2e-4, warmup=0.0, b2=0.999, eps=1e-5),
        total_steps=1_000_000_000,
        eval_levels=256,
    )


def _craftax_classic() -> TrainConfig:
    """A size for two CPU cores."""
    return TrainConfig(
        env=EnvSettings("Craftax-Classic-Symbolic-v1"),
        model=ModelConfig(width=128, ff_width=256, num_heads=4, num_kv_heads=1, window=64),
        method=PPOConfig(
            num_envs=64,
            rollout_steps=64,
            num_epochs=4,
            num_minibatches=8,
            gamma=0.99,
            td_lambda=0.9,
            entropy_coef=0.01,
        ),
        total_steps=1_000_000,
        eval_levels=256,
    )


def _mixture(ids: Sequence[str], mixture: MixtureConfig, total_steps: int) -> TrainConfig:
    """A mixture in equal shares, in a size for two CPU cores."""
    return TrainConfig(
        env=EnvSettings(SEPARATOR.join(ids)),
        model=ModelConfig(window=128),
        method=PPOConfig(
            num_envs=64 * len(ids), rollout_steps=64, num_minibatches=16, mixture=mixture
        ),
        total_steps=total_steps,
    )


_SMALL_CONTROL = {
    "learning_starts": 1000,
    "batch_size": 64,
    "learning_rate": 1e-3,
    "critic_width": 64,
    "buffer": 20_000,
    "update_steps": 500,
}
_ABOUT_DATA = "learn from a dataset; best by gridmem.baselines.decision_transformer"
_OF_LEARNING = "batch_size", "learning_rate", "critic_width", "update_steps"
_SMALL_BLOCKS = ModelConfig(num_layers=1, width=64, ff_width=128, num_heads=2, num_kv_heads=2)


def _pendulum(method: TD3Config | SACConfig, total_steps: int) -> TrainConfig:
    """Two layers of 64 in actor and critics, in seconds on a CPU core."""
    env = EnvSettings("Pendulum-v1")
    model, steps = ModelConfig(mixer="none"), total_steps
    return TrainConfig(env=env, model=model, method=method, total_steps=steps, eval_levels=200)


def _pendulum_hidden() -> TrainConfig:
    """The accelerator on a pendulum whose velocity is not seen."""
    return TrainConfig(
        env=EnvSettings("Pendulum-v1", options={"hide": "velocity"}),
        model=replace(_SMALL_BLOCKS, head_dim=32),
        method=AcceleratorConfig(context=5, stage2_critics="fixed", **_SMALL_CONTROL),
        total_steps=24_000,
        eval_levels=200,
    )


def _mujoco(id: str) -> TrainConfig:
    """Table 1 of arXiv 2509.26137, without its dropout; the number of steps is ours."""
    return TrainConfig(
        env=EnvSettings(id),
        model=ModelConfig(
            num_layers=1, width=256, ff_width=512, num_heads=2, num_kv_heads=2, head_dim=128
        ),
        method=AcceleratorConfig(
            context=3,
            buffer=500_000,
            learning_starts=25_000,
            update_steps=5000,
            stage1_steps=500_000,
            stage2_buffer=100_000,
        ),
        total_steps=1_000_000,
        eval_levels=10,
    )


def _curriculum() -> TrainConfig:
    """The network of quickstart in caves that grow to 40 x 40."""
    return TrainConfig(
        env=EnvSettings("GridMem-v0"),
        method=PPOConfig(
            num_envs=64,
            num_minibatches=16,
            gamma=0.99,
            entropy_coef=0.005,
            curriculum=CurriculumConfig(grow_steps=20_000_000),
        ),
        optimizer=OptimizerConfig(optimizer="muon"),
        total_steps=40_000_000,
    )


_MUJOCO = {"halfcheetah": "HalfCheetah-v5", "hopper": "Hopper-v5", "ant": "Ant-v5"}
_LADDER = "GridMem-9x9-v0", "GridMem-13x13-v0", "GridMem-20x20-v0"
_ABOUT_PENDULUM = "off-policy learning on Pendulum-v1, in a minute on a CPU"
_ABOUT_MIXTURES = "one network on several environments"
_WORLDS = "GridMem-9x9-v0", "MiniGrid-MemoryS16", "Craftax-Classic-Symbolic-v1"

PRESETS: dict[str, tuple[str, TrainConfig | Callable[[], TrainConfig]]] = {
    "quickstart": (
        "learns to remember small caves in one to three minutes on two CPU cores",
        TrainConfig(
            env=EnvSettings("GridMem-9x9-v0", view_size=3, max_steps=256),
            optimizer=OptimizerConfig(optimizer="muon", learning_rate=4e-3),
            total_steps=4_000_000,
        ),
    ),
    "reference": ("the published recipe: 16 agents in each 40x40 cave; for a GPU", _REFERENCE),
    "dig": (
        "reference on GridMem-Dig-v0",
        replace(_REFERENCE, env=EnvSettings("GridMem-Dig-v0", num_agents=16)),
    ),
    "single": (
        "reference with one agent per cave",
        replace(
            _REFERENCE,
            env=EnvSettings("GridMem-v0"),
            method=replace(_REFERENCE.ppo, num_envs=4096),
        ),
    ),
    "small": ("reference, scaled down for two CPU cores", _small()),
    **{
        f"depth-{num_layers}": ("reference with N layers", _depth(num_layers))
        for num_layers in (1, 2, 4, 8, 16)
    },
    "curriculum": (
        "GridMem-v0 in caves that grow, for two CPU cores",
        _curriculum(),
    ),
    "craftax-classic": ("Craftax-Classic, in minutes on two CPU cores", _craftax_classic),
    "craftax": ("the scoreboard's recipe for Craftax; for a GPU", _craftax),
    "td3": (_ABOUT_PENDULUM, lambda: _pendulum(TD3Config(**_SMALL_CONTROL), 16_000)),
    "sac": (_ABOUT_PENDULUM, lambda: _pendulum(SACConfig(**_SMALL_CONTROL), 12_000)),
    **dict.fromkeys(
        ("pendulum-hidden", "accelerator"),
        ("the accelerator on a pendulum whose velocity is hidden", _pendulum_hidden),
    ),
    **{
        name: ("the accelerator on MuJoCo (extra control); for a GPU", partial(_mujoco, id))
        for name, id in _MUJOCO.items()
    },
    "decision-transformer": (
        _ABOUT_DATA,
        lambda: offline_preset("", EnvSettings("GridMem-9x9-v0"), "dt"),
    ),
    "td3bc": (_ABOUT_DATA, lambda: offline_preset("", EnvSettings("Pendulum-v1"), "td3bc")),
    "mixture-ladder": (
        _ABOUT_MIXTURES,
        _mixture(_LADDER, MixtureConfig(), 12_000_000),
    ),
    "mixture-worlds": (
        _ABOUT_MIXTURES,
        lambda: _mixture(
            _WORLDS,
            MixtureConfig(gammas=(0.97, 0.99, 0.99), entropy_coefs=(0.003, 0.01, 0.01)),
            3_000_000,
        ),
    ),
}
"""Name -> (what it is for, config or, where other packages are needed for it, what makes it)."""


def offline_preset(
    dataset: str,
    env: EnvSettings,
    algorithm: AlgorithmName | Literal["td3bc"],
    published: bool = False,
) -> TrainConfig:
    """The settings for a dataset.

    Args:
        dataset: Minari's id.
        env: of the dataset.
        algorithm: dt, bc, bc10 or td3bc.
        published: with the sizes and the learning rate of Chen et al. 2021; not of td3bc.
    """
    steps = make_environment(env.env_id, **env.options).max_steps
    has_caves = env.env_id in CONFIGS
    if algorithm == "td3bc":
        method = TD3BCConfig(
            **{name: value for name, value in _SMALL_CONTROL.items() if name in _OF_LEARNING},
            dataset=dataset,
        )
        model, total = ModelConfig(mixer="none"), 16_000 * method.batch_size
        return TrainConfig(env=env, model=model, method=method, total_steps=total, eval_levels=200)
    if published:
        context, updates = min(20, steps), 100_000
        model = ModelConfig(
            num_layers=3, width=128, ff_width=512, num_heads=1, num_kv_heads=1, head_dim=128
        )
        optimizer = OptimizerConfig(
            learning_rate=1e-4, warmup=0.1, weight_decay=1e-4, max_grad_norm=0.25
        )
        tokens = 3
    else:
        context, updates = (steps, 1500) if has_caves else (min(5, steps), 1500)
        model, tokens = ModelConfig(), 1 if has_caves else 3
        optimizer = OptimizerConfig()
    method = DecisionTransformerConfig(
        dataset=dataset, algorithm=algorithm, tokens=tokens, context=context
    )
    return TrainConfig(
        env=env,
        model=model,
        method=method,
        optimizer=optimizer,
        total_steps=updates * method.batch_size * context,
        eval_levels=256 if has_caves else 200,
    )


def preset(name: str) -> TrainConfig:
    """The config of that name; a registered method has a preset of its name.

    Raises:
        ValueError: if there is none.
    """
    known = presets()
    if name not in known:
        raise ValueError(f"{unknown_name('preset', name, known, 'presets')}; {IMPORT_HINT}")
    if name in PRESETS:
        config = PRESETS[name][1]
        return config() if callable(config) else config
    make = METHOD_PRESETS[name]
    return make() if make else TrainConfig(method=METHOD_CONFIGS[name]())


def presets() -> dict[str, str]:
    """Name -> what it is for, of `PRESETS` and of methods from outside."""
    methods = [name for name, config in METHOD_CONFIGS.items() if config is not PPOConfig]
    about = {name: "a registered method with its default settings" for name in methods}
    return {**about, **{name: what for name, (what, _) in PRESETS.items()}}
