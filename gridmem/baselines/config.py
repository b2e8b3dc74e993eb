"""The settings of a training run as frozen dataclasses, to and from JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal

from gridmem.baselines.env_settings import COMMON_OPTIONS, EnvSettings
from gridmem.baselines.method import MethodConfig
from gridmem.baselines.offline.settings import DecisionTransformerConfig, TD3BCConfig
from gridmem.baselines.offpolicy.settings import AcceleratorConfig, SACConfig, TD3Config
from gridmem.baselines.ppo.settings import PPOConfig
from gridmem.baselines.registration import (
    METHOD_CONFIGS,
    METHODS,
    find,
    mixer_names,
    register_method,
)
from gridmem.baselines.setting_types import (
    check_not_negative,
    check_positive,
    check_types,
    field_types,
    from_json,
)
from gridmem.envs.checks import nearest, unknown_name
from gridmem.envs.config import UnknownOption
from gridmem.envs.environment import Column
from gridmem.envs.registry import IMPORT_HINT, make_environment

MOST_EVAL_LEVELS = 1_000_000
MixerName = Annotated[str, mixer_names]
DtypeName = Literal["float32", "bfloat16"]
AttentionName = Literal["auto", "cudnn", "triton", "xla"]
DecodeName = Literal["auto", "triton", "xla"]
FeedForwardName = Literal["auto", "xla", "triton"]
KvDtypeName = Literal["model", "int8"]
ValueHeadName = Literal["mse", "hl_gauss"]
OptimizerName = Literal["adamw", "muon"]
InitPartsName = Literal["fitting", "blocks"]


@dataclass(frozen=True)
class ModelConfig:
    """The shape of the network."""

    mixer: MixerName = "attention"
    """How a token sees the past; "none" is the memoryless control. See docs/training.md#mixers."""
    num_layers: int = 2
    """Blocks of mixer and feed-forward."""
    width: int = 64
    """Features per token."""
    ff_width: int = 128
    """Hidden features of the gated feed-forward."""
    num_heads: int = 2
    """Query heads."""
    num_kv_heads: int = 1
    """Key and value heads, shared by groups of query heads."""
    head_dim: int = 32
    """Features per head; even, for the rotary embedding."""
    value_width: int = 128
    """Hidden features of the value head."""
    rope_base: float = 10_000.0
    """Base of the rotary embedding's wavelengths."""
    window: int | None = None
    """Tokens that attention sees, its own included; the whole episode if not given."""
    attention: AttentionName = "auto"
    """Attention kernel of training; auto is cuDNN's, with rollout_steps Triton's, wherever it can
    be used, otherwise XLA's."""
    decode: DecodeName = "auto"
    """Attention kernel of a rollout's steps in training; auto is Triton wherever it can be used."""
    feed_forward: FeedForwardName = "auto"
    """Feed-forward kernel of training and its rollouts; auto is Triton wherever it can be used."""
    kv_dtype: KvDtypeName = "model"
    """Number format of the keys and values that attention remembers; model is that of dtype."""
    qk_norm: bool = False
    """Normalise queries and keys before the rotary embedding."""
    value_head: ValueHeadName = "mse"
    """How values are learned: by squared error, or as a histogram by cross-entropy."""
    value_bins: int = 51
    """Bins of the histogram of hl_gauss."""
    value_min: float = -10.0
    """Lower end of the histogram."""
    value_max: float = 10.0
    """Upper end of the histogram."""
    value_sigma: float = 0.75
    """Deviation of a target spread over the histogram, in bin widths."""
    predict_view_coef: float = 0.0
    """Weight of an auxiliary loss of ppo, the cross-entropy of the next view; 0 for none."""
    dtype: DtypeName = "float32"
    """Number format of the matrix products; parameters, norms and losses are float32."""

    def __post_init__(self) -> None:
        check_types(self)
        check_positive(self, "num_layers", below=1001)
        check_positive(self, "width", "ff_width", "num_heads", "num_kv_heads")
        check_positive(self, "head_dim", "value_width", "rope_base")
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"num_heads is {self.num_heads} and num_kv_heads {self.num_kv_heads}; "
                "the first must be a multiple of the second"
            )
        if self.head_dim % 2:
            raise ValueError(f"head_dim is {self.head_dim}; it must be even")
        if self.window is not None:
            check_positive(self, "window")
        check_positive(self, "value_bins", "value_sigma")
        check_not_negative(self, "predict_view_coef")
        if self.value_bins < 2:
            raise ValueError(f"value_bins is {self.value_bins}; it must be 2 or more")
        if not -inf < self.value_min < self.value_max < inf:
            raise ValueError(
                f"value_min is {self.value_min} and value_max {self.value_max}; "
                "the first must be below the second"
            )


register_method("ppo", "gridmem.baselines.ppo.method:PPO", PPOConfig)
register_method("td3", "gridmem.baselines.offpolicy.td3:TD3", TD3Config)
register_method("sac", "gridmem.baselines.offpolicy.sac:SAC", SACConfig)
register_method(
    "accelerator", "gridmem.baselines.offpolicy.accelerator:Accelerator", AcceleratorConfig
)
register_method(
    "decision-transformer",
    "gridmem.baselines.offline.decision_transformer:DecisionTransformer",
    DecisionTransformerConfig,
)
register_method("td3bc", "gridmem.baselines.offline.td3_bc:TD3BC", TD3BCConfig)


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW or Muon, with a linear warm-up and a linear decay to zero."""

    optimizer: OptimizerName = "adamw"
    """Muon is for the matrices inside the blocks; AdamW then has the rest."""
    learning_rate: float = 1e-3
    """Peak learning rate."""
    warmup: float = 0.02
    """Share of the run over which the learning rate rises."""
    weight_decay: float = 1e-4
    """Decay of matrices, in units of the learning rate."""
    b1: float = 0.9
    """Decay of the first moment, Muon's momentum included."""
    b2: float = 0.95
    """Decay of the second moment."""
    eps: float = 1e-8
    """Added to the root of the second moment."""
    max_grad_norm: float = 1.0
    """Gradients longer than this are shortened to it, before the optimizer sees them."""

    muon_rms: float | None = 0.2
    """Root mean square of the entries of Muon's updates, in units of the learning rate; 0.2 is
    about AdamW's. None for a spectral norm of sqrt(max(1, columns / rows)), as first published."""

    def __post_init__(self) -> None:
        check_types(self)
        if self.muon_rms is not None:
            check_positive(self, "muon_rms")
        check_positive(self, "learning_rate", "max_grad_norm", "eps")
        check_not_negative(self, "weight_decay")
        for name in ("b1", "b2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be from 0 to below 1")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup is {self.warmup}; it must be at least 0 and less than 1")


@dataclass(frozen=True)
class TrainConfig:
    """A whole training run.

    Attributes:
        env: id and options of the environment.
        model: the network: mixer, layers, widths, dtype.
        method: how it learns, by default `PPOConfig()`.
        optimizer: AdamW or Muon, learning rate and schedule.

    Raises:
        ValueError: for an invalid value, or values that do not fit each other.
    """

    env: EnvSettings = field(default_factory=EnvSettings)
    model: ModelConfig = field(default_factory=ModelConfig)
    method: MethodConfig = field(default_factory=PPOConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    total_steps: int = 8_000_000
    """Agent steps to train for; rounded up to whole updates."""
    seed: int = 0
    """Source of everything random in the run, evaluation levels apart."""
    num_seeds: int = 1
    """Agents trained side by side as one program, with the seeds seed, seed + 1 and so on."""
    init_from: str | None = None
    """Begin with the network of this run or file, as far as it fits; see docs/mixtures.md."""
    init_parts: InitPartsName = "fitting"
    """With init_from: all that fits, or only the blocks."""
    eval_levels: int = 512
    """Held-out levels on which the agent is evaluated at the end; 0 for no evaluation."""
    run_dir: str | None = None
    """Folder for the run's results; must not exist. A new one under runs/ if not given."""
    checkpoint_seconds: float = 60.0
    """Time between two checkpoints, at least 20 times what one takes; 0 for one in each update."""
    deterministic: bool = False
    """Make a GPU add in a fixed order, so that a resumed run equals one that never stopped."""
    wandb: str | None = None
    """Project of Weights & Biases to log to, too."""

    def __post_init__(self) -> None:
        check_types(self)
        check_positive(self, "total_steps", below=inf)
        check_not_negative(self, "eval_levels", "checkpoint_seconds")
        if self.eval_levels > MOST_EVAL_LEVELS:
            most = f"{MOST_EVAL_LEVELS:,}"
            raise ValueError(f"eval_levels is {self.eval_levels}; it must be at most {most}")
        check_positive(self, "num_seeds")
        if not 0 <= self.seed <= 2**32 - self.num_seeds:
            most = "2**32 - 1" if self.num_seeds == 1 else f"2**32 - {self.num_seeds} (num_seeds)"
            raise ValueError(f"seed is {self.seed}; it must be from 0 to {most}")
        if self.init_from is None and self.init_parts != "fitting":
            raise ValueError("--init-parts says what is taken of a run; name it with --init-from")
        if self.init_from is not None and not isinstance(self.method, PPOConfig):
            raise ValueError(f"--init-from is for ppo, and the method is {self.method.name}")
        if self.model.kv_dtype != "model" and not isinstance(self.method, PPOConfig):
            raise ValueError(f"--kv-dtype is for ppo, and the method is {self.method.name}")
        if self.model.kv_dtype != "model" and self.model.mixer != "attention":
            raise ValueError(
                f"--kv-dtype {self.model.kv_dtype} is for attention, and the mixer is "
                f"{self.model.mixer}; use --kv-dtype model"
            )
        if self.model.predict_view_coef and not isinstance(self.method, PPOConfig):
            raise ValueError(
                f"--predict-view-coef is for ppo, and the method is {self.method.name}; "
                "leave it out"
            )
        if self.model.attention == "triton" and not isinstance(self.method, PPOConfig):
            raise ValueError(
                f"--attention triton is for ppo, and the method is {self.method.name}; use auto"
            )
        if self.model.feed_forward == "triton" and not isinstance(self.method, PPOConfig):
            raise ValueError(
                f"--feed-forward triton is for ppo, and the method is {self.method.name}; use auto"
            )
        env = self.make_env()
        if env.max_steps >= 2**31:
            raise ValueError(f"max_steps is {env.max_steps}; it must be below 2**31")
        self.method.check(self)

    def make_env(self, *, shared: bool = True) -> Any:
        """The environment of the run, an `Environment`; of GridMem's ids an `Env`.

        Args:
            shared: the same each time, which matters for a `HostEnvironment`.
        """
        try:
            env = make_environment(self.env.env_id, shared=shared, **self.env.options)
            return self.method.arrange(env)
        except UnknownOption as error:
            raise ValueError(str(error).partition(": ")[2]) from None  # without Python's words

    def make_method(self, *, acting: bool = False) -> Any:
        """The `Method` of the run, with its source; if it is only `acting`, its environment.

        Raises:
            ValueError: if the source cannot be opened.
        """
        method = find(METHODS, "method", self.method.name)
        try:
            return method(self, self.make_env() if acting else method.open(self))
        except OSError as error:
            raise ValueError(f"the data of the run cannot be read: {error}") from None

    @property
    def columns(self) -> tuple[Column, ...]:
        """Metrics that tables and curves show."""
        return self.method.columns(self.make_env())

    @property
    def ppo(self) -> PPOConfig:
        """The settings of PPO.

        Raises:
            ValueError: if the run has another method.
        """
        if not isinstance(self.method, PPOConfig):
            raise ValueError(f"the method is {self.method.name}; this is only for ppo")
        return self.method

    @property
    def recipe(self) -> "TrainConfig":
        """The config without the seed and settings that do not change how an agent learns."""
        return replace(
            self,
            model=replace(self.model, attention="auto", decode="auto", feed_forward="auto"),
            seed=0,
            num_seeds=1,
            eval_levels=512,
            run_dir=None,
            checkpoint_seconds=60.0,
            deterministic=False,
            wandb=None,
        )

    @property
    def seed_configs(self) -> "list[TrainConfig]":
        """The config of each seed by itself."""
        seeds = range(self.seed, self.seed + self.num_seeds)
        return [replace(self, seed=seed, num_seeds=1) for seed in seeds]

    @property
    def steps_per_update(self) -> int:
        """Agent steps that one update plays."""
        return self.method.steps_per_update(self.make_env())

    @property
    def num_updates(self) -> int:
        """Updates in the run."""
        return -(-self.total_steps // self.steps_per_update)


def to_dict(config: TrainConfig) -> dict[str, Any]:
    """A config as JSON-able data."""
    method = {"type": config.method.name, **_with_lists(asdict(config.method))}
    return {**asdict(config), "env": config.env.to_dict(), "method": method}


def _with_lists(data: Any) -> Any:
    """The same with lists for tuples."""
    if isinstance(data, dict):
        return {name: _with_lists(value) for name, value in data.items()}
    return [_with_lists(each) for each in data] if isinstance(data, tuple) else data


def from_dict(data: Mapping[str, Any]) -> TrainConfig:
    """The config that `to_dict` gave; unknown names are refused, missing ones get defaults."""
    data = dict(data)
    if "ppo" in data and "method" not in data:  # of versions that had no other method
        data["method"] = data.pop("ppo")
    return _changed(TrainConfig(), data)


def from_file(path: Path) -> TrainConfig:
    """The config in a JSON file.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it does not hold one.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict):
            raise ValueError("it is not a dict of settings")
        return from_dict(data)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"{path} does not hold the settings of a run: {error}") from None


def _changed(config: Any, data: Mapping[str, Any]) -> Any:
    if isinstance(config, EnvSettings):
        types = {name: annotation for name, (annotation, _) in COMMON_OPTIONS.items()}
        given = {name: from_json(data[name], types.get(name)) for name in data}
        id = given.pop("env_id", config.env_id)
        return EnvSettings(id, options={**config.options, **given})
    if isinstance(config, MethodConfig) and "type" in data:
        data = dict(data)
        name = data.pop("type")
        if name not in METHOD_CONFIGS:
            sentence = unknown_name("method", name, METHOD_CONFIGS, "methods")
            raise ValueError(f"{sentence}; {IMPORT_HINT}")
        kind = METHOD_CONFIGS[name]
        config = config if type(config) is kind else kind()
    hints = field_types(type(config))
    types = {f.name: hints[f.name] for f in fields(config)}
    changes = {}
    for name, value in data.items():
        if name not in types:
            raise ValueError(
                f"there is no setting {name!r}{nearest(name, types)} in "
                f"{type(config).__name__}; it has {', '.join(types)}"
            )
        old = getattr(config, name)
        if is_dataclass(old) and not isinstance(value, Mapping):
            raise ValueError(f"setting {name!r} is {value!r}; it must be a dict of settings")
        changes[name] = _changed(old, value) if is_dataclass(old) else from_json(value, types[name])
    return replace(config, **changes)
