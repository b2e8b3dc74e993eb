"""Craftax and Craftax-Classic (Matthews et al. 2024) as environments of GridMem."""

# The package is an extra.
# pyright: reportMissingImports=false

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float32, Int32, Key, UInt8, UInt32

from gridmem.envs.analysis.episode_stats import Achievements
from gridmem.envs.checks import check_whole_number
from gridmem.envs.environment import Discrete, Part
from gridmem.envs.external.craftax_packing import (
    CLASSIC_PARTS,
    CRAFTAX_PARTS,
    pack_classic,
    pack_craftax,
)
from gridmem.envs.types import TimeStep

MISSING = (
    "it needs the package craftax ({}): in a clone of GridMem use `uv run --extra craftax ...`, "
    'with pip `pip install "craftax==1.6.1"`'
)
EVALUATION_STEPS = 10_000  # at most; few policies live longer
_CLASSIC_ACHIEVEMENTS = (
    "collect_wood place_table eat_cow collect_sapling collect_drink make_wood_pickaxe "
    "make_wood_sword place_plant defeat_zombie collect_stone place_stone eat_plant defeat_skeleton "
    "make_stone_pickaxe make_stone_sword wake_up place_furnace collect_coal collect_iron "
    "collect_diamond make_iron_pickaxe make_iron_sword"
)
_MORE_ACHIEVEMENTS = (
    "make_arrow make_torch place_torch make_diamond_sword make_iron_armour make_diamond_armour "
    "enter_gnomish_mines enter_dungeon enter_sewers enter_vault enter_troll_mines enter_fire_realm "
    "enter_ice_realm enter_graveyard defeat_gnome_warrior defeat_gnome_archer defeat_orc_solider "
    "defeat_orc_mage defeat_lizard defeat_kobold defeat_troll defeat_deep_thing defeat_pigman "
    "defeat_fire_elemental defeat_frost_troll defeat_ice_elemental damage_necromancer "
    "defeat_necromancer eat_bat eat_snail find_bow fire_bow collect_sapphire learn_fireball "
    "cast_fireball learn_iceball cast_iceball collect_ruby make_diamond_pickaxe open_chest "
    "drink_potion enchant_sword enchant_armour defeat_knight defeat_archer"
)
BLOCK_PIXELS = 32  # height and width of a cell in pictures
NO_CLOCK = 2**31 - 1  # upstream's limit of steps, which is not to be told from death there


class CraftaxState(NamedTuple):
    """The whole state of an episode: upstream's `EnvState`, and what it does not have.

    Key u32[2], last_action i32[1], last_reward f32[1].
    """

    game: Any
    key: UInt32[Array, "2"]  # of the steps to come
    last_action: Int32[Array, "1"]
    last_reward: Float32[Array, "1"]


@dataclass(frozen=True)
class Upstream:
    """What is used of Craftax, or of Craftax-Classic.

    Attributes:
        generate: from a key to the first state, as `reset_env` does.
        step: from a key, a state and an action i32[] to a state and a reward.
        is_over: whether an episode is over by its rules, without the clock.
        constants: the module that loads textures.
        renderer: the module that draws.
    """

    generate: Callable[[Array], Any]
    step: Callable[[Array, Any, Array], tuple[Any, Array]]
    is_over: Callable[[Any], Array]
    constants: ModuleType
    renderer: ModuleType


@dataclass(frozen=True)
class CraftaxEnv:
    """Craftax by its original rules: survive, gather, craft, and descend through nine floors.

    Observation: a `CraftaxObservation` or `ClassicObservation`, upstream's symbolic one in fewer
        bytes.
    Action: i32[1], upstream's `Action`.
    Reward: for each achievement when it is first unlocked, and 0.1 times the change of health.
    Termination: death, in Classic also in lava; in Craftax also victory over the necromancer.
    Truncation: after `max_steps` steps, if that step does not terminate.

    A level is the data of a threefry key, which is split in two: upstream's `reset_env` gets the
    first, and the second is split in each step, of which upstream's `step_env` gets the second.

    Attributes:
        id: upstream's name of it.
        max_steps: the most steps of an episode.
        random_steps: mean length of an episode of random actions.
        achievements: their names.
        max_return: the return of an episode with all achievements and no loss of health.
        actions: the action space.
        parts: what an observation consists of.
        pack: from upstream's state, the last action and the last reward to an observation.
        load: imports the game.
    """

    id: str
    max_steps: int
    random_steps: int = field(repr=False, compare=False)
    achievements: tuple[str, ...] = field(repr=False, compare=False)
    max_return: float = field(repr=False, compare=False)
    actions: Discrete = field(repr=False, compare=False)
    parts: tuple[Part, ...] = field(repr=False, compare=False)
    pack: Callable[..., Any] = field(repr=False, compare=False)
    load: Callable[[], Upstream] = field(repr=False, compare=False)
    num_agents = 1
    compiles_slowly = True

    @property
    def upstream(self) -> Upstream:
        """The game, imported at first use: that starts JAX, which several processes set up first.

        Upstream makes arrays when it is imported, which must not be those of a trace.
        """
        with jax.ensure_compile_time_eval(), upstream_numbers():
            return self.load()

    @property
    def mean_steps(self) -> int:
        """Steps of an episode of random actions, about."""
        return min(self.random_steps, self.max_steps)

    @property
    def evaluation_steps(self) -> int:
        """The most steps of an episode that evaluations play."""
        return min(EVALUATION_STEPS, self.max_steps)

    @property
    def stats(self) -> Achievements:
        """Return, length, and the share of episodes with each achievement."""
        return Achievements(self.achievements, self.max_return)

    @property
    def about(self) -> str:
        """The environment in a few words."""
        name = self.id.removesuffix("-Symbolic-v1")
        number = len(self.achievements)
        return f"{name}, {number} achievements, {self.actions.n} actions, {self.max_steps:,} steps"

    def generate(self, key: Key[Array, ""]) -> UInt32[Array, "2"]:
        """Draws a level: the data of a threefry key, of the key itself if it is one."""
        data = jax.random.key_data(key)
        return data if data.shape == (2,) else jax.random.bits(key, (2,), jnp.uint32)

    def start(self, level: UInt32[Array, "2"]) -> tuple[CraftaxState, TimeStep]:
        """Begins an episode on a level."""
        first, following = jax.random.split(_key(level))
        with upstream_numbers():
            # XLA's compiler for CPUs fails at Classic's worlds together with what follows.
            game = lax.optimization_barrier(_fixed(self.upstream.generate(first)))
        none = jnp.int32(self.actions.n)
        return self._result(game, following, none, jnp.float32(0), jnp.bool_(False))

    def reset(self, key: Key[Array, ""]) -> tuple[CraftaxState, TimeStep]:
        """Begins an episode on a level drawn from the key."""
        return self.start(self.generate(key))

    def step(self, state: CraftaxState, action: Any) -> tuple[CraftaxState, TimeStep]:
        """Advances the agent by one action, i32[1]; the clock goes on after the end, too."""
        (action,) = jnp.asarray(action).astype(jnp.int32)
        following, now = jax.random.split(_key(state.key))
        with upstream_numbers():
            game, reward = self.upstream.step(now, state.game, action)
            game, reward = _fixed(game), reward.astype(jnp.float32)
            over = self.upstream.is_over(game)
        return self._result(game, following, action, reward, over)

    def frame(self, state: CraftaxState) -> UInt8[np.ndarray, "H W 3"]:
        """Craftax's own picture of a state; not for `jax.jit`.

        The first one takes up to half a minute, because it loads the textures.
        """
        with upstream_numbers():
            picture = _renderer(self.upstream)(state.game)
        return np.clip(np.asarray(picture), 0, 255).astype(np.uint8)

    def _result(
        self,
        game: Any,
        key: Key[Array, ""],
        action: Int32[Array, ""],
        reward: Float32[Array, ""],
        terminated: Bool[Array, ""],
    ) -> tuple[CraftaxState, TimeStep]:
        state = CraftaxState(game, jax.random.key_data(key), action[None], reward[None])
        obs = jax.tree.map(lambda leaf: leaf[None], self.pack(game, action, reward))
        truncated = (game.timestep >= self.max_steps) & ~terminated
        return state, TimeStep(
            obs=obs,
            reward=reward[None],
            terminated=terminated[None],
            truncated=truncated[None],
            time=game.timestep[None],
            events=game.achievements[None],
        )


@contextmanager
def upstream_numbers() -> Iterator[None]:
    """Where upstream's code runs: it mixes dtypes and ranks, and is made for 32 bits."""
    with (
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
        jax.enable_x64(False),
    ):
        yield


def craftax(max_steps: int | None = None) -> CraftaxEnv:
    """Craftax-Symbolic-v1.

    Args:
        max_steps: the most steps of an episode; upstream's 100,000 if not given.

    Raises:
        ValueError: if craftax is not installed, or for an invalid value.
    """
    return CraftaxEnv(
        id="Craftax-Symbolic-v1",
        max_steps=_checked(max_steps, 100_000),
        random_steps=280,
        achievements=(*_CLASSIC_ACHIEVEMENTS.split(), *_MORE_ACHIEVEMENTS.split()),
        max_return=226.0,
        actions=Discrete(43),
        parts=CRAFTAX_PARTS,
        pack=pack_craftax,
        load=_installed(_craftax),
    )


def craftax_classic(max_steps: int | None = None) -> CraftaxEnv:
    """Craftax-Classic-Symbolic-v1.

    Args:
        max_steps: the most steps of an episode; upstream's 10,000 if not given.

    Raises:
        ValueError: if craftax is not installed, or for an invalid value.
    """
    return CraftaxEnv(
        id="Craftax-Classic-Symbolic-v1",
        max_steps=_checked(max_steps, 10_000),
        random_steps=140,
        achievements=tuple(_CLASSIC_ACHIEVEMENTS.split()),
        max_return=22.0,
        actions=Discrete(17),
        parts=CLASSIC_PARTS,
        pack=pack_classic,
        load=_installed(_classic),
    )


def _checked(max_steps: int | None, limit: int) -> int:
    if max_steps is None:
        return limit
    check_whole_number("max_steps", max_steps, 1)
    return max_steps


def _installed(load: Callable[[], Upstream]) -> Callable[[], Upstream]:
    try:
        import craftax  # noqa: F401  # an empty module
    except ImportError as error:
        raise ValueError(MISSING.format(error)) from error
    return load


@cache
def _craftax() -> Upstream:
    from craftax.craftax import constants, renderer
    from craftax.craftax.craftax_state import EnvParams, StaticEnvParams
    from craftax.craftax.game_logic import craftax_step, is_game_over
    from craftax.craftax.world_gen.world_gen import generate_world

    params, sizes = EnvParams(max_timesteps=NO_CLOCK), StaticEnvParams()
    return Upstream(
        generate=lambda key: generate_world(jax.random.split(key)[1], params, sizes),
        step=lambda key, state, action: craftax_step(key, state, action, params, sizes),
        is_over=lambda state: is_game_over(state, params, sizes),
        constants=constants,
        renderer=renderer,
    )


@cache
def _classic() -> Upstream:
    from craftax.craftax_classic import constants, renderer
    from craftax.craftax_classic.envs.craftax_state import EnvParams, StaticEnvParams
    from craftax.craftax_classic.game_logic import craftax_step, is_game_over
    from craftax.craftax_classic.world_gen import generate_world

    params, sizes = EnvParams(max_timesteps=NO_CLOCK), StaticEnvParams()
    return Upstream(
        generate=lambda key: generate_world(key, params, sizes),
        step=lambda key, state, action: craftax_step(key, state, action, params, sizes),
        is_over=lambda state: is_game_over(state, params),
        constants=constants,
        renderer=renderer,
    )


def _key(data: UInt32[Array, "2"]) -> Key[Array, ""]:
    return jax.random.wrap_key_data(data, impl="threefry2x32")


def _fixed(game: Any) -> Any:
    """The state with a plain array, not of a weak type, for every leaf.

    Upstream's types are weak in some places, and other ones at the start than later on, which
    loops would compile twice.
    """

    def plain(leaf: Any) -> Array:
        leaf = jnp.asarray(leaf)
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.key_data(leaf)
        return lax.convert_element_type(leaf, leaf.dtype)

    return jax.tree.map(plain, game)


@cache
def _renderer(upstream: Upstream) -> Callable[[Any], Array]:
    """From a state to a picture f32[H, W, 3], 0 to 255.

    Upstream keeps textures in a file of its own package, which may be read-only. Here they are made
    in memory, for one size.
    """
    # Upstream takes a hundred thousand square roots, each by itself, which JAX is slow at.
    numpy = SimpleNamespace(**{**vars(jnp), "sqrt": np.sqrt})
    load = _with_globals(upstream.constants.load_all_textures_given_size, jnp=numpy)
    textures = {BLOCK_PIXELS: load(BLOCK_PIXELS)}
    make = upstream.renderer.make_craftax_pixel_renderer
    draw = _with_globals(make, load_all_textures=lambda: textures)(BLOCK_PIXELS)
    return jax.jit(draw)


def _with_globals(function: Any, **names: Any) -> Callable[..., Any]:
    """The function, but these names stand for other objects in it."""
    namespace = {**function.__globals__, **names}
    return FunctionType(
        function.__code__,
        namespace,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
