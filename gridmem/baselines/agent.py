"""A trained agent, loaded from its run directory or a file of weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from flax import nnx

from gridmem.baselines.actor import Actor
from gridmem.baselines.config import TrainConfig
from gridmem.baselines.model.actor_critic import ActorCritic
from gridmem.baselines.model.mixers import ExplainingMixer
from gridmem.baselines.model.policy import model_policy
from gridmem.baselines.ppo.learner import build_model
from gridmem.baselines.runs.run_dir import WEIGHTS, seed_dirs
from gridmem.baselines.runs.weights import read_config, read_params
from gridmem.envs.assets import asset
from gridmem.envs.batch.policy import Policy
from gridmem.envs.checks import nearest
from gridmem.envs.env import Env


@dataclass(frozen=True, eq=False)
class Agent:
    """The environment, network and parameters of a run.

    Attributes:
        config: of the run.
        env: of the training; the agent can act in any with the same view and compass.
        graphdef: static part of the model.
        params: its parameters.
    """

    config: TrainConfig
    env: Env
    graphdef: Any
    params: Any

    @property
    def env_id(self) -> str:
        """Id of `env`."""
        return self.config.env.env_id

    @property
    def options(self) -> dict[str, Any]:
        """Options that, with `env_id`, make `env` through any interface, as the agent needs it."""
        return {"observation": "dict", **self.config.env.options}

    @property
    def model(self) -> ActorCritic:
        """The network."""
        return nnx.merge(self.graphdef, self.params)

    @property
    def explains(self) -> bool:
        """Whether it can show which past steps it attends to; see `ExplainingMixer`."""
        return any(isinstance(block.mixer, ExplainingMixer) for block in self.model.blocks)

    def policy(self, greedy: bool = False, explain: bool = False) -> Policy:
        """A policy for B streams of one episode each; see `model_policy`."""
        return model_policy(self.model, greedy, explain)

    def actor(self, greedy: bool = False, seed: int = 0) -> Actor:
        """A stateful policy for all interfaces; see `Actor`.

        Args:
            greedy: take the most probable action instead of drawing one.
            seed: of the sampled actions, 0 to 2**32 - 1.

        Raises:
            ValueError: for an invalid seed.
        """
        return Actor(self.config, self.env, self.model, greedy, seed)


def load(run: str | Path) -> Agent:
    """Loads an agent as it was last saved.

    Args:
        run: the folder that `gridmem.baselines.train` made, a file of weights, or the name of
            released weights.

    Raises:
        ValueError: if it is none of them, or cannot be read.
    """
    path = _file(run)
    try:
        config = read_config(path)
        env = config.make_env()
        shape = nnx.eval_shape(lambda: build_model(config, env, jax.random.key(0)))
        graphdef, like = nnx.split(shape)
        params = read_params(path, like)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror or error})") from None
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is no agent that can be loaded: {error}") from None
    return Agent(config, env, graphdef, params)


def released() -> list[str]:
    """The names of the released weights."""
    return sorted(path.stem for path in asset("weights").glob("*.safetensors"))


def _file(run: str | Path) -> Path:
    path = Path(run)
    if path.is_file():
        return path
    if path.is_dir():
        if (path / WEIGHTS).is_file():
            return path / WEIGHTS
        seeds = seed_dirs(path)
        if seeds:
            raise ValueError(f"{path} is a run of {len(seeds)} seeds; name one, as {seeds[0]}")
        what = "a run that has saved nothing yet" if (path / "config.json").exists() else "no run"
        raise ValueError(f"{path} is {what}: there is no {WEIGHTS} in it")
    names = released()
    if str(run) in names:
        return asset("weights") / f"{run}.safetensors"
    raise ValueError(
        f"there is no run folder, file or released agent {str(run)!r}{nearest(str(run), names)}; "
        f"released are: {', '.join(names) or 'none'}"
    )
