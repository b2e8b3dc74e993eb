"""From the options of the command line to a game that is ready to play."""

import secrets
from argparse import Namespace
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gridmem.envs.analysis.replay import Replay, load_replay
from gridmem.envs.analysis.scripted import reactive_policy
from gridmem.envs.batch.policy import Policy, random_policy
from gridmem.envs.env import Env
from gridmem.envs.registry import CONFIGS, make
from gridmem.render.player.controllers import (
    AGENT,
    ORACLE,
    YOU,
    Controllers,
    OracleController,
    PolicyController,
)
from gridmem.render.player.episode import Controller, Episode
from gridmem.render.player.game import Game
from gridmem.render.player.level_source import (
    LevelSource,
    seeded_levels,
    single_level,
    stored_levels,
)

DEFAULT_ID = "GridMem-13x13-v0"
MOST_STEPS = 100_000  # random actions play whole episodes, for the reference returns
# Test levels on which the released agent is typical: its share of the ceiling there is the median
# over levels, or next to it.
TYPICAL = {
    "GridMem-9x9-v0": 2,
    "GridMem-13x13-v0": 13,
    "GridMem-20x20-v0": 8,
    "GridMem-v0": 11,
    "GridMem-Dig-v0": 22,
    "GridMem-DigLarge-v0": 66,
}


class Setup(NamedTuple):
    """The parts of a game."""

    title: str
    env: Env
    levels: LevelSource
    controllers: Controllers
    episode: Episode | None  # shown first, of a replay


def set_up(options: Namespace, trained: Any, *, has_keys: bool) -> Setup:
    """Validates the options and loads what they name.

    Args:
        options: see `gridmem.render.player.options`.
        trained: the agent of `options.agent`, from `gridmem.baselines.load`; without that option
            None, or an agent that plays only on request.
        has_keys: whether a person can play.

    Raises:
        ValueError: if something that the options name does not exist, or they contradict another.
    """
    replay = load_replay(options.replay) if options.replay else None
    if replay:
        title, env = replay.title, Env(replay.config)
    else:
        title = options.id or (trained.config.env.env_id if trained else DEFAULT_ID)
        env = _env(options, title, trained)
    if not isinstance(env, Env):
        raise ValueError(f"{title} is not an environment of GridMem; only these can be played")
    if trained and not isinstance(trained.env, Env):
        raise ValueError(
            f"the agent was trained in {trained.env_id}, which is not an environment of GridMem; "
            "only agents of these can be shown"
        )
    if env.max_steps > MOST_STEPS:
        raise ValueError(
            f"max_steps is {env.max_steps}; to be played it must be at most {MOST_STEPS}"
        )
    if trained and _observation_sizes(env) != _observation_sizes(trained.env):
        raise ValueError(
            f"the agent was trained with a view of {trained.env.view_size} cells and this "
            f"environment's has {env.view_size}, or only one has a compass; leave out the id to "
            f"play in the agent's own environment"
        )
    if options.heat == "memory" and not trained:
        raise ValueError(
            "--heat memory shows what a trained agent attends to; name one with --agent RUN"
        )
    if options.heat == "memory" and not trained.explains:
        method, mixer = trained.config.method.name, trained.config.model.mixer
        raise ValueError(
            f"--heat memory shows the attention of agents of ppo; this agent (method {method}, "
            f"mixer {mixer}) has none to show; leave the option out"
        )
    policy = trained.policy(options.greedy, explain=True) if trained else None
    default = ORACLE if options.agent is None else AGENT
    if replay or (has_keys and options.agent is None):
        default = YOU
    controllers = _controllers(options, env, policy, default)
    episode = _replayed(env, replay) if replay else None
    return Setup(title, env, _levels(options, title, env, replay), controllers, episode)


def start_game(setup: Setup, options: Namespace, on_end: Callable[[Game], str]) -> Game:
    """A game whose functions are compiled, so that it responds fast from the first key on."""
    title, env, levels, controllers, episode = setup
    # A step with every controller, in an episode that is thrown away.
    first = Episode(env, levels.level(levels.first))
    for controller in controllers.by_name.values():
        first.decision(controller)
    first.step(np.zeros(env.num_agents, np.int32))
    shown: dict[str, Any] = {name: getattr(options, name) for name in ("whole", "heat", "speed")}
    game = Game(env, title, levels, controllers, **shown, on_end=on_end)
    if episode:
        game.show_episode(episode)
    return game


def _env(options: Namespace, id: str, trained: Any) -> Any:
    wanted = {
        "view_size": options.view_size,
        "max_steps": options.max_steps,
        "num_agents": options.agents,
    }
    overrides: dict[str, Any] = dict(trained.config.env.options) if trained else {}
    if trained and id != trained.config.env.env_id:
        # Its other settings make sense only in the environment of its training.
        overrides = {name: overrides[name] for name in {"view_size", "compass"} & overrides.keys()}
    given = {name: value for name, value in wanted.items() if value is not None}
    return make(id, **overrides | given)


def _observation_sizes(env: Env) -> tuple[int, int]:
    return env.view_size, env.compass_size


def _controllers(options: Namespace, env: Env, policy: Policy | None, default: str) -> Controllers:
    player = options.player or default
    player = YOU if player == "keys" else player
    crowd = options.crowd or (AGENT if policy else "reactive")
    by_name: dict[str, Controller] = {ORACLE: OracleController(env)}
    if policy:
        by_name[AGENT] = PolicyController(env, policy)
    for name in ("random", "reactive"):
        if name == player or (name == crowd and env.num_agents > 1):
            is_random = name == "random"
            scripted = random_policy(env.num_actions) if is_random else reactive_policy(env)
            by_name[name] = PolicyController(env, scripted)
    return Controllers(by_name, player, crowd, shows_advice=options.agent is not None)


def _levels(options: Namespace, id: str, env: Env, replay: Replay | None) -> LevelSource:
    if replay:
        return single_level("replay", replay.level)
    where, first = options.levels, options.level or 0
    if options.agent and not where and options.seed is None and id in CONFIGS:
        where = "test"
        first = TYPICAL.get(id, 0) if options.level is None else options.level
    if where:
        return stored_levels(env, id, where, first)
    seed = secrets.randbits(32) if options.seed is None else options.seed
    return seeded_levels(env, seed, first)


def _replayed(env: Env, replay: Replay) -> Episode:
    episode = Episode(env, replay.level, replay.actions)
    visits = np.asarray(episode.states[-1].visits)
    if (visits != replay.visits).any():
        raise ValueError(
            f"the replay was saved with {replay.visits.tolist()} finds, and playing it gives "
            f"{visits.tolist()}: this version of gridmem has other rules"
        )
    return episode
