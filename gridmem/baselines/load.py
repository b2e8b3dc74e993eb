"""A trained agent out of the folder of its run."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
from flax import nnx
from orbax.checkpoint import v1 as ocp

from gridmem.baselines.checkpoint import load
from gridmem.baselines.config import TrainConfig, from_dict
from gridmem.baselines.learner import Learner, init
from gridmem.baselines.model_policy import model_policy
from gridmem.envs.env import Env
from gridmem.envs.policy import Policy


class Agent(NamedTuple):
    """What a run was about, and what came of it."""

    config: TrainConfig
    env: Env  # the one it was trained in
    policy: Policy  # plays B streams of any env with the same view and compass


def load_agent(run: str | Path, greedy: bool = False, explain: bool = False) -> Agent:
    """The agent of a run folder, as its last checkpoint has it.

    Args:
        run: the folder that `gridmem.baselines.train` made.
        greedy: take the most probable action instead of drawing one.
        explain: tell what it thinks with each action; see `model_policy`.

    Raises:
        ValueError: if this is no run folder, it has no checkpoint yet, or they do not fit.
    """
    run = Path(run)
    config = _config(run)
    env = config.make_env()
    checkpoint, old = run / "checkpoint", run / "checkpoint.old"
    if not checkpoint.is_dir() and old.is_dir():  # stopped while a newer one was put in place
        checkpoint = old
    if not checkpoint.is_dir():
        raise ValueError(f"the run folder {run} has no checkpoint; the run has not saved one yet")
    graphdef, learner = init(config, env)
    try:
        with _silence():
            _check_shapes(checkpoint, learner)
            learner = load(checkpoint, learner)
    except Exception as error:  # Orbax has no class of its own for what it cannot read
        raise ValueError(
            f"the checkpoint in {run} is damaged or of another version ({_first_line(error)})"
        ) from None
    return Agent(config, env, model_policy(nnx.merge(graphdef, learner.params), greedy, explain))


def _config(run: Path) -> TrainConfig:
    path = run / "config.json"
    try:
        data = json.loads(path.read_text())
    except OSError as error:
        raise ValueError(f"{run} is not the folder of a run: {path} ({error.strerror})") from None
    except ValueError:
        raise ValueError(f"{run} is not the folder of a run: {path} is not JSON") from None
    try:
        if not isinstance(data, dict):
            raise ValueError("it is not a dict of settings")
        return from_dict(data)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is not the config of a run: {error}") from None


def _check_shapes(path: Path, learner: Learner) -> None:
    """Raises ValueError before Orbax does, whose threads would go on to complain."""
    stored: Any = ocp.metadata(str(path.resolve())).metadata
    if stored is None:
        raise ValueError("what it contains cannot be read")
    found, wanted = (
        sorted(leaf.shape for leaf in jax.tree.leaves(params))
        for params in (stored["params"], learner.params)
    )
    if found != wanted:
        raise ValueError("its parameters do not have the shapes that config.json says")


@contextmanager
def _silence() -> Iterator[None]:
    """Keeps Orbax from logging what will be said in a sentence."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
