"""Episodes of a policy, written as a dataset of Minari."""

import hashlib
import json
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

import gridmem
from gridmem.envs.batch.policy import Policy, PolicyOutput
from gridmem.envs.batch.rollout import play
from gridmem.envs.batch.seeding import level_key, seed_key
from gridmem.envs.env import Env
from gridmem.envs.environment import EVALUATION_KEY_DATA, Box, Discrete, Environment
from gridmem.envs.types import TimeStep

STREAMS = 256  # episodes that are played side by side
FIRST_SEED = 1_000_000
"""Of the first episode of a dataset; smaller ones are left to users."""


class Episode(NamedTuple):
    """T steps of one agent, and T + 1 observations, as the dataset has them."""

    seed: int | None
    level: np.ndarray | None  # of an environment that Gymnasium does not seed alike
    observations: Any
    actions: np.ndarray
    rewards: np.ndarray
    terminations: np.ndarray
    truncations: np.ndarray


@dataclass(frozen=True)
class Source:
    """What plays, and how it is described.

    Attributes:
        about: in the dataset's page.
        make_policy: params -> policy, or levels -> policy if it `knows`.
        params: of the policy, a tree of arrays.
        knows: whether it is told the levels, as the oracle is.
    """

    about: str
    make_policy: Callable[[Any], Policy]
    params: Any = ()
    knows: bool = False


def check_name(name: str) -> None:
    """Raises ValueError if Minari cannot have a dataset of that name, or has one."""
    import minari
    from minari.dataset.minari_dataset import parse_dataset_id

    parse_dataset_id(name)
    if name in minari.list_local_datasets():
        raise ValueError(
            f"there is a dataset {name} already; delete it by `minari delete {name}`, or give "
            "another --prefix"
        )


def levels_of(env: Environment, seeds: Sequence[int]) -> Any:
    """Of GridMem the first levels of Gymnasium's seeds; else those of JAX's keys, leaves [N, ...].

    Seeds of Gymnasium are those of `env.reset(seed=seed)`.
    """
    if isinstance(env, Env):
        return _first_levels(env, jnp.asarray(np.stack([seed_key(seed) for seed in seeds])))
    return _other_levels(env, jnp.asarray(seeds, jnp.uint32))


@partial(jax.jit, static_argnums=0)
def _first_levels(env: Env, keys: Array) -> Any:
    return jax.vmap(lambda key: env.generate(level_key(key, jnp.uint32(0))))(keys)


@partial(jax.jit, static_argnums=0)
def _other_levels(env: Environment, seeds: Array) -> Any:
    def level(seed: Array) -> Any:
        # Not the levels of the evaluation.
        return env.generate(jax.random.fold_in(jax.random.key(seed), EVALUATION_KEY_DATA[0]))

    return jax.vmap(level)(seeds)


Recorder = Callable[[Any, int, int], Iterator[Episode]]
"""(params, number of episodes, seed of the first one) -> the episodes."""


def recorder(env: Environment, source: Source, streams: int = STREAMS) -> Recorder:
    """Plays episodes of a source, each on a level of its own, by one compiled program.

    Args:
        env: with one agent.
        source: what plays; its parameters are passed with each call.
        streams: episodes that are played side by side.
    """

    @jax.jit
    def chunk(params: Any, levels: Any, key: Key[Array, ""]) -> Any:
        policy = source.make_policy(levels if source.knows else params)
        result = play(env, policy, levels, key)
        rows = result.rollout
        obs = jax.tree.map(
            lambda all, last: jnp.concatenate([all, last[None]]), rows.obs, result.timestep.obs
        )
        return obs, rows.action, rows.reward, rows.terminated, rows.truncated, rows.valid

    def episodes(params: Any, number: int, first_seed: int) -> Iterator[Episode]:
        for begin in range(0, number, streams):
            seeds = range(first_seed + begin, first_seed + begin + streams)
            levels = levels_of(env, seeds)
            key = jax.random.fold_in(jax.random.key(first_seed), begin)
            played = jax.device_get(chunk(params, levels, key))
            for stream in range(min(streams, number - begin)):
                level = jax.tree.map(lambda leaf: np.asarray(leaf[stream]), levels)  # noqa: B023
                yield _episode(env, played, stream, seeds[stream], level)

    return episodes


def record(env: Environment, source: Source, number: int) -> Iterator[Episode]:
    """So many episodes of a source, from `FIRST_SEED` on."""
    return recorder(env, source)(source.params, number, FIRST_SEED)


def _episode(env: Environment, played: Any, stream: int, seed: int, level: Any) -> Episode:
    """One stream of what a recorder has played, leaves [T or T + 1, B, ...]."""
    obs, action, reward, terminated, truncated, valid = played
    length, seeded = int(valid[:, stream].sum()), isinstance(env, Env)
    obs = jax.tree.map(lambda leaf: leaf[: length + 1, stream], obs)
    dtype = np.int64 if isinstance(env.actions, Discrete) else np.float32
    return Episode(
        seed=seed if seeded else None,
        level=None if seeded else level,
        observations=stored_observations(env, obs),
        actions=np.asarray(action[:length, stream], dtype),
        rewards=reward[:length, stream],
        terminations=terminated[:length, stream],
        truncations=truncated[:length, stream],
    )


def stored_observations(env: Environment, obs: Any) -> Any:
    """Observations as Gymnasium gives them: a dict of GridMem's parts, else the only part."""
    if not isinstance(env, Env):
        (part,) = env.parts
        return np.asarray(getattr(obs, part.name))
    found = {
        "view": np.asarray(obs.view),
        "last_action": np.asarray(obs.last_action, np.int64),
        "last_reward": np.asarray(obs.last_reward)[..., None],
    }
    if env.compass_size:
        found["compass"] = np.asarray(obs.compass)
    return found


def replayed(actions: Any) -> Policy:
    """Takes given actions, [N, T, 1], from the start of an episode."""

    def act(time: Any, timestep: TimeStep, key: Key[Array, ""]) -> PolicyOutput:
        return PolicyOutput(time + 1, actions[:, time, 0], ())

    return Policy(lambda batch: jnp.int32(0), act)


def spaces_of(env: Environment, id: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """What Minari has to know: an environment of Gymnasium, or spaces where there is none."""
    import gymnasium
    from gymnasium import spaces

    if isinstance(env, Env):
        return {"env": gymnasium.make(id, observation="dict", **options)}
    if not options and id in gymnasium.registry:
        return {"env": gymnasium.make(id)}
    (part,) = env.parts
    assert isinstance(env.actions, Box)
    low, high = (np.array(each, np.float32) for each in (env.actions.low, env.actions.high))
    return {
        "observation_space": spaces.Box(-np.inf, np.inf, part.shape, np.float32),
        "action_space": spaces.Box(low, high),
    }


def write(
    name: str,
    env: Environment,
    id: str,
    options: Mapping[str, Any],
    episodes: Iterator[Episode],
    about: Mapping[str, str],
    scores: tuple[float, float],
) -> Path:
    """Writes a dataset and its page; returns the page's path.

    Args:
        name: Minari's id.
        env: that was played.
        id: of it.
        options: of `gridmem.make`.
        episodes: what was played.
        about: lines of the page, topic -> text; "policy" is also Minari's algorithm.
        scores: mean returns of random actions and of the expert.
    """
    import minari
    from minari.data_collector import EpisodeBuffer
    from minari.storage import get_dataset_path

    digest, returns, steps = hashlib.sha256(), [], 0

    def buffers() -> Iterator[EpisodeBuffer]:
        nonlocal steps
        for number, episode in enumerate(episodes):
            for leaf in jax.tree.leaves(tuple(episode[2:])):
                digest.update(np.ascontiguousarray(leaf).tobytes())
            returns.append(float(np.sum(episode.rewards, dtype=np.float64)))
            steps += len(episode.rewards)
            level = None if episode.level is None else {"level": episode.level.tolist()}
            yield EpisodeBuffer(
                id=number,
                seed=episode.seed,
                options=level,
                observations=episode.observations,
                actions=episode.actions,  # pyright: ignore[reportArgumentType]
                rewards=episode.rewards,  # pyright: ignore[reportArgumentType]
                terminations=episode.terminations,  # pyright: ignore[reportArgumentType]
                truncations=episode.truncations,  # pyright: ignore[reportArgumentType]
            )

    with warnings.catch_warnings():
        # There is nobody's address, nor an environment of Gymnasium for some options.
        warnings.filterwarnings("ignore", "`.*` is set to None|env_spec is None")
        try:
            dataset = minari.create_dataset_from_buffers(
                name,
                buffers(),  # pyright: ignore[reportArgumentType]
                **spaces_of(env, id, options),
                algorithm_name=about["policy"],
                description="; ".join(f"{topic}: {text}" for topic, text in about.items()),
                requirements=[f"gridmem=={gridmem.__version__}"],
                author="GridMem",
                jpeg_encoding=False,
            )
        except BaseException:  # no half of a dataset stays under its name
            shutil.rmtree(get_dataset_path(name), ignore_errors=True)
            raise
    # Minari keeps the scores of environments of Gymnasium only.
    dataset.storage.update_metadata(
        {
            "gridmem": json.dumps({"id": id, **options}),
            "ref_min_score": scores[0],
            "ref_max_score": scores[1],
        }
    )
    folder = Path(str(dataset.storage.data_path)).parent
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    lines = {
        **about,
        "environment": f"{id}, {env.about}" if hasattr(env, "about") else id,
        "episodes": f"{len(returns):,}",
        "steps": f"{steps:,}",
        "returns": f"mean {np.mean(returns):.3f}, {min(returns):.3f} to {max(returns):.3f}",
        "size": f"{size / 1e6:.1f} MB",
        "SHA-256 of all arrays": digest.hexdigest(),
        "versions": f"gridmem {gridmem.__version__}, Minari {minari.__version__}, "
        f"JAX {jax.__version__}",
    }
    return _write_page(folder / "README.md", name, lines)


def _write_page(path: Path, name: str, lines: Mapping[str, str]) -> Path:
    body = "\n".join(f"- {topic}: {text}" for topic, text in lines.items())
    path.write_text(f"# {name}\n\n{body}\n\n`minari.load_dataset({name!r})`\n", encoding="utf-8")
    return path
