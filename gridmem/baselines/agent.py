"""A trained agent, loaded from its run directory or a file of weights."""

from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any

from gridmem.baselines.actor import Actor
from gridmem.baselines.config import TrainConfig
from gridmem.baselines.method import Method
from gridmem.baselines.model.actor_critic import ActorCritic
from gridmem.baselines.model.mixers import ExplainingMixer
from gridmem.baselines.model.policy import model_policy
from gridmem.baselines.ppo.method import PPO
from gridmem.baselines.runs.run_dir import WEIGHTS, seed_dirs
from gridmem.baselines.runs.weights import read_config, read_params
from gridmem.envs.assets import asset
from gridmem.envs.batch.policy import Policy
from gridmem.envs.checks import nearest
from gridmem.envs.env import Env


@dataclass(frozen=True, eq=False, repr=False)
class Agent:
    """The environment, method and parameters of a run.

    Attributes:
        config: of the run.
        env: of the training, of GridMem's ids an `Env`; the agent can act in any with the same
            observations.
        method: that trained it.
        params: its parameters.
    """

    config: TrainConfig
    env: Any
    method: Method
    params: Any

    def __repr__(self) -> str:
        return f"Agent({self.env_id!r}, {self.config.method.name!r})"

    @property
    def env_id(self) -> str:
        """Id of `env`."""
        return self.config.env.env_id

    @property
    def options(self) -> dict[str, Any]:
        """Options that, with `env_id`, make `env` through any interface, as the agent needs it."""
        return {"observation": "dict", **self.config.env.options}

    @property
    def members(self) -> "dict[str, Agent]":
        """Id of an environment -> the agent in it; several only of a mixture."""
        return {
            id: Agent(each.config, each.source, each, self.method.member_params(self.params, id))
            for id, each in self.method.members.items()
        }

    @property
    def model(self) -> ActorCritic:
        """The network of PPO.

        Raises:
            ValueError: if another method trained the agent.
        """
        if not isinstance(self.method, PPO):
            raise ValueError(
                f"the agent was trained by {self.config.method.name}; only agents of ppo have this "
                "network, use policy()"
            )
        self._check_single()
        return self.method.model(self.params)

    def _check_single(self) -> None:
        if len(self.method.members) > 1:
            raise ValueError(
                f"the agent was trained in {', '.join(self.method.members)}; take that of one "
                "environment from `members`"
            )

    @property
    def explains(self) -> bool:
        """Whether it can show which past steps it attends to; see `ExplainingMixer`."""
        blocks = self.model.blocks if isinstance(self.method, PPO) else ()
        return any(isinstance(block.mixer, ExplainingMixer) for block in blocks)

    def policy(self, greedy: bool = False, explain: bool = False) -> Policy:
        """A policy for B streams of one episode each.

        Args:
            greedy: take the most probable action instead of drawing one.
            explain: give in the extras what can be shown of a choice; see `model_policy`. Other
                methods than PPO give what they always do.
        """
        self._check_single()
        if explain and isinstance(self.method, PPO):
            return model_policy(self.model, greedy, explain)
        return self.method.policy(self.params, greedy)

    def actor(self, greedy: bool = False, seed: int = 0) -> Actor:
        """A stateful policy for all interfaces; see `Actor`.

        Args:
            greedy: take the most probable action instead of drawing one.
            seed: of the sampled actions, 0 to 2**32 - 1.

        Raises:
            ValueError: for an invalid seed, an environment from outside of GridMem, or an agent of
                another method than PPO.
        """
        self._check_single()
        if not isinstance(self.env, Env):
            raise ValueError(
                f"an actor takes the observations of GridMem's interfaces, and {self.env_id} has "
                "none; use policy()"
            )
        return Actor(self.config, self.env, self.model, greedy, seed)


def load(run: str | Path) -> Agent:
    """Loads an agent as it was last saved.

    Args:
        run: the folder that `gridmem.baselines.train` made, a file of weights, or the name of
            released weights.

    Raises:
        ValueError: if it is none of them, or cannot be read.
    """
    path = weights_file(run)
    try:
        config = read_config(path)
        # With kernels that any device has.
        plain = replace(config, model=config.recipe.model)
        method = plain.make_method(acting=True)
        params = read_params(path, method.abstract_params())
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror or error})") from None
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is no agent that can be loaded: {error}") from None
    return Agent(config, config.make_env(), method, params)


def released() -> list[str]:
    """The names of the released weights."""
    return sorted(path.stem for path in asset("weights").glob("*.safetensors"))


def weights_file(run: str | Path) -> Path:
    """The file of weights that `run` of `load` names.

    Raises:
        ValueError: if there is none.
    """
    path = Path(run)
    if path.is_file():
        return path
    if path.is_dir():
        if (path / WEIGHTS).is_file():
            return path / WEIGHTS
        seeds = seed_dirs(path)
        if seeds:
            raise ValueError(
                f"{path} is a run of {len(seeds)} seeds; name one, as {quote(str(seeds[0]))}"
            )
        what = "a run that has saved nothing yet" if (path / "config.json").exists() else "no run"
        raise ValueError(f"{path} is {what}: there is no {WEIGHTS} in it")
    names = released()
    if str(run) in names:
        return asset("weights") / f"{run}.safetensors"
    raise ValueError(
        f"there is no run folder, file or released agent {str(run)!r}{nearest(str(run), names)}; "
        f"released are: {', '.join(names) or 'none'}"
    )
