"""From the options of the command line to a game that can begin."""

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
from gridmem.render.player.cast import AGENT, ORACLE, YOU, Cast
from gridmem.render.player.controllers import OraclePlayer, Player, PolicyPlayer
from gridmem.render.player.episode import Session
from gridmem.render.player.game import Game
from gridmem.render.player.level_source import Caves, one_cave, seeded_caves, stored_caves

DEFAULT_ID = "GridMem-13x13-v0"
# Test levels on which the released agent does as it does on most: its share of the ceiling there
# is the median one, or next to it.
TYPICAL = {"GridMem-9x9-v0": 2, "GridMem-13x13-v0": 345, "GridMem-20x20-v0": 3}


class Setup(NamedTuple):
    """What is played, where and by whom."""

    title: str
    env: Env
    caves: Caves
    cast: Cast
    session: Session | None  # an episode to be shown first


def set_up(options: Namespace, trained: Any, *, has_keys: bool) -> Setup:
    """What the options ask for, checked.

    Args:
        options: see `gridmem.render.player.options`.
        trained: the agent of `options.agent`, as `gridmem.baselines.load` gives it, or one that
            is there to be asked, if that is None; or None.
        has_keys: whether a person can play.

    Raises:
        ValueError: if something that the options name is not there, or they do not fit together.
    """
    replay = load_replay(options.replay) if options.replay else None
    if replay:
        title, env = replay.title, Env(replay.config)
    else:
        title = options.id or (trained.config.env.env_id if trained else DEFAULT_ID)
        env = _env(options, title, trained)
    if trained and _told(env) != _told(trained.env):
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
        raise ValueError(
            f"--heat memory shows past steps that attention draws on; this agent's mixer, "
            f"{trained.config.model.mixer}, does not tell; leave the option out"
        )
    policy = trained.policy(options.greedy, explain=True) if trained else None
    default = _default_lead(has_keys, options.agent is not None)
    cast = _cast(options, env, policy, YOU if replay else default)
    session = _replayed(env, replay) if replay else None
    return Setup(title, env, _caves(options, title, env, replay), cast, session)


def begin(setup: Setup, options: Namespace, at_end: Callable[[Game], str]) -> Game:
    """A game with its programs compiled, so that it answers fast from the first key on.

    Args:
        setup: of the game.
        options: how it is shown.
        at_end: see `Game`.
    """
    title, env, caves, cast, session = setup
    _compile(env, caves, cast)
    shown: dict[str, Any] = {name: getattr(options, name) for name in ("whole", "heat", "speed")}
    game = Game(env, title, caves, cast, **shown, at_end=at_end)
    if session:
        game.watch(session)
    return game


def _env(options: Namespace, id: str, trained: Any) -> Env:
    wanted = {
        "view_size": options.view_size,
        "max_steps": options.max_steps,
        "num_agents": options.agents,
    }
    overrides: dict[str, Any] = {}
    if trained:  # the rest of its settings only make sense where it was trained
        own = trained.config.env.overrides()
        told = {name: own[name] for name in ("view_size", "compass") if name in own}
        overrides = own if id == trained.config.env.env_id else told
    overrides |= {name: value for name, value in wanted.items() if value is not None}
    return make(id, **overrides)


def _told(env: Env) -> tuple[int, int]:
    return env.view_size, env.compass_size


def _default_lead(has_keys: bool, has_agent: bool) -> str:
    if has_agent:
        return AGENT
    return YOU if has_keys else ORACLE


def _cast(options: Namespace, env: Env, policy: Policy | None, default: str) -> Cast:
    lead = options.player or default
    lead = YOU if lead == "keys" else lead
    crowd = options.crowd or (AGENT if policy else "reactive")
    players: dict[str, Player] = {ORACLE: OraclePlayer(env)}
    if policy:
        players[AGENT] = PolicyPlayer(env, policy)
    scripted = {
        "random": lambda: random_policy(env.num_actions),
        "reactive": lambda: reactive_policy(env),
    }
    for name, make_policy in scripted.items():
        if name == lead or (name == crowd and env.num_agents > 1):
            players[name] = PolicyPlayer(env, make_policy())
    return Cast(players, lead, crowd, advises=options.agent is not None)


def _caves(options: Namespace, id: str, env: Env, replay: Replay | None) -> Caves:
    if replay:
        return one_cave("replay", replay.level)
    where, first = options.levels, options.level or 0
    if options.agent and not where and options.seed is None and id in CONFIGS:
        where = "test"
        first = TYPICAL.get(id, 0) if options.level is None else options.level
    if where:
        return stored_caves(env, id, where, first)
    seed = secrets.randbits(32) if options.seed is None else options.seed
    return seeded_caves(env, seed, first)


def _replayed(env: Env, replay: Replay) -> Session:
    session = Session(env, replay.level, replay.actions)
    found = np.asarray(session.states[-1].visits)
    if (found != replay.visits).any():
        raise ValueError(
            f"the replay was saved with {replay.visits.tolist()} visits and is played here with "
            f"{found.tolist()}: this version of gridmem has other rules"
        )
    return session


def _compile(env: Env, caves: Caves, cast: Cast) -> None:
    """Plays a step with everybody, in an episode that is thrown away."""
    session = Session(env, caves.level(caves.first))
    for player in cast.players.values():
        session.ask(player)
    session.act(np.zeros(env.num_agents, np.int32))
