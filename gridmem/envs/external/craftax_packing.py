"""Craftax's symbolic observations in few bytes, and upstream's flat vectors made from them.

Upstream renders a state as 8,268 floats (Classic: 1,345), almost all of them 0 or 1. Here it is
packed into 648 bytes (133) without making the floats. `CRAFTAX_PLACES` and `CLASSIC_PLACES` say
where the flat vector has what a part holds, so that weights can be carried over.

In upstream's rendering a mob that is dead or off screen erases an earlier one of its type from the
cell where it is itself, a negative row or column being counted from the end. This is reproduced.
"""

# The package is an extra.
# pyright: reportMissingImports=false

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float16, Float32, Int32, Shaped, UInt8

from gridmem.envs.environment import Bits, Counts, Ids, Numbers, PackedIds

CRAFTAX_VIEW, CLASSIC_VIEW = (9, 11), (7, 9)
OUT_OF_BOUNDS = 1  # the id of the block outside the map
DARK = 0.05  # light up to which upstream shows nothing
NUM_DIRECTIONS = 4


class CraftaxObservation(NamedTuple):
    """What the agent observes in Craftax. Leaves [*batch, ...].

    Ground u8[9,11], mobs u8[9,11,5], materials u8[16], tools u8[2], wear u8[5], magic u8[7],
    intrinsics u8[9], direction u8[1], conditions bool[6], measures f32[2], last_action i32[],
    last_reward f32[].
    """

    ground: UInt8[Array, "*batch 9 11"]  # block and item; 0 in darkness
    mobs: UInt8[Array, "*batch 9 11 5"]  # a bit for each type: melee, passive, ranged, projectiles
    materials: UInt8[Array, "*batch 16"]  # wood to arrows, potions
    tools: UInt8[Array, "*batch 2"]  # levels of pickaxe and sword
    wear: UInt8[Array, "*batch 5"]  # books, armour
    magic: UInt8[Array, "*batch 7"]  # enchantments of sword, bow; has a bow; those of armour
    intrinsics: UInt8[Array, "*batch 9"]  # food to intelligence, floor
    direction: UInt8[Array, "*batch 1"]
    conditions: Bool[Array, "*batch 6"]  # sleeping, resting, spells, floor cleared, boss vulnerable
    measures: Float32[Array, "*batch 2"]  # health / 10, light
    last_action: Int32[Array, "*batch"]
    last_reward: Float32[Array, "*batch"]


CRAFTAX_PARTS = (
    PackedIds("ground", CRAFTAX_VIEW, (37, 5)),
    PackedIds("mobs", (*CRAFTAX_VIEW, 5), (1,) * 8),
    Counts("materials", (16,), 10.0, root=True),
    Counts("tools", (2,), 4.0),
    Counts("wear", (5,), 2.0),
    Counts("magic", (7,), 1.0),
    Counts("intrinsics", (9,), 10.0),
    Ids("direction", (1,), NUM_DIRECTIONS),
    Bits("conditions", (6,)),
    Numbers("measures", (2,)),
)
"""The parts of a `CraftaxObservation`."""

CRAFTAX_PLACES = {
    "materials": (*range(10), *range(16, 22)),
    "tools": (11, 12),
    "wear": (10, *range(35, 39)),
    "magic": (13, 14, 15, *range(39, 43)),
    "intrinsics": (*range(23, 31), 48),
    "direction": (31, 32, 33, 34),
    "conditions": (44, 45, 46, 47, 49, 50),
    "measures": (22, 43),
}
"""Where upstream's flat vector has the inputs of these parts, from the end of the cells on.

A cell is 37 blocks, 5 items, 5 x 8 mobs and whether it is lit.
"""


class ClassicObservation(NamedTuple):
    """What the agent observes in Craftax-Classic. Leaves [*batch, ...].

    Ground u8[7,9], mobs u8[32], amounts f16[16], direction u8[1], sleeping bool[1], light f32[1],
    last_action i32[], last_reward f32[].
    """

    ground: UInt8[Array, "*batch 7 9"]  # block
    mobs: UInt8[Array, "*batch 32"]  # of cells 2 i and 2 i + 1 of 63: zombie, cow, skeleton, arrow
    amounts: Float16[Array, "*batch 16"]  # inventory, health, food, drink, energy; divided by 10
    direction: UInt8[Array, "*batch 1"]
    sleeping: Bool[Array, "*batch 1"]
    light: Float32[Array, "*batch 1"]
    last_action: Int32[Array, "*batch"]
    last_reward: Float32[Array, "*batch"]


CLASSIC_PARTS = (
    Ids("ground", CLASSIC_VIEW, 17),
    PackedIds("mobs", (32,), (1,) * 8),
    # Upstream rounds the quotients to half precision, so that they are no multiples of a scale.
    Numbers("amounts", (16,)),
    Ids("direction", (1,), NUM_DIRECTIONS),
    Bits("sleeping", (1,)),
    Numbers("light", (1,)),
)
"""The parts of a `ClassicObservation`."""

CLASSIC_PLACES = {
    "amounts": tuple(range(16)),
    "direction": (16, 17, 18, 19),
    "sleeping": (21,),
    "light": (20,),
}
"""As `CRAFTAX_PLACES`. A cell is 17 blocks and 4 mobs."""


def pack_craftax(
    state: Any, last_action: Int32[Array, ""], last_reward: Float32[Array, ""]
) -> CraftaxObservation:
    """The observation of a state of Craftax."""
    from craftax.craftax.constants import MONSTERS_KILLED_TO_CLEAR_LEVEL
    from craftax.craftax.util.game_logic_utils import is_boss_vulnerable

    level, player, items = state.player_level, state.player_position, state.inventory
    block = _view(state.map, CRAFTAX_VIEW, player, OUT_OF_BOUNDS, level)
    item = _view(state.item_map, CRAFTAX_VIEW, player, 0, level)
    lit = _view(state.light_map, CRAFTAX_VIEW, player, 0, level) > DARK
    classes = (
        state.melee_mobs,
        state.passive_mobs,
        state.ranged_mobs,
        state.mob_projectiles,
        state.player_projectiles,
    )
    mobs = [
        _mob_bits(each.position[level], each.mask[level], each.type_id[level], player, CRAFTAX_VIEW)
        for each in classes
    ]
    materials = [items.wood, items.stone, items.coal, items.iron, items.diamond, items.sapphire]
    materials += [items.ruby, items.sapling, items.torches, items.arrows]
    intrinsics = [state.player_food, state.player_drink, state.player_energy, state.player_mana]
    intrinsics += [state.player_xp, state.player_dexterity, state.player_strength]
    intrinsics += [state.player_intelligence, level]
    cleared = state.monsters_killed[level] >= MONSTERS_KILLED_TO_CLEAR_LEVEL
    conditions = [state.is_sleeping, state.is_resting, state.learned_spells, cleared]
    return CraftaxObservation(
        ground=jnp.where(lit, block + 1 + 38 * (item + 1), 0).astype(jnp.uint8),
        mobs=jnp.where(lit[..., None], jnp.stack(mobs, axis=-1), 0).astype(jnp.uint8),
        materials=_row(jnp.uint8, *materials, items.potions),
        tools=_row(jnp.uint8, items.pickaxe, items.sword),
        wear=_row(jnp.uint8, items.books, items.armour),
        magic=_row(
            jnp.uint8,
            state.sword_enchantment,
            state.bow_enchantment,
            items.bow,
            state.armour_enchantments,
        ),
        intrinsics=_row(jnp.uint8, *intrinsics),
        direction=_row(jnp.uint8, state.player_direction - 1),
        conditions=_row(jnp.bool_, *conditions, is_boss_vulnerable(state)),
        measures=_row(jnp.float32, state.player_health / 10.0, state.light_level),
        last_action=last_action,
        last_reward=last_reward,
    )


def pack_classic(
    state: Any, last_action: Int32[Array, ""], last_reward: Float32[Array, ""]
) -> ClassicObservation:
    """The observation of a state of Craftax-Classic."""
    player, items = state.player_position, state.inventory
    classes = state.zombies, state.cows, state.skeletons, state.arrows
    kind = np.repeat(np.arange(4, dtype=np.int32), [len(each.mask) for each in classes])
    position = jnp.concatenate([each.position for each in classes])
    mask = jnp.concatenate([each.mask for each in classes])
    mobs = _mob_bits(position, mask, jnp.asarray(kind), player, CLASSIC_VIEW).reshape(-1)
    pairs = jnp.pad(mobs, (0, 1)).reshape(-1, 2)
    amounts = [items.wood, items.stone, items.coal, items.iron, items.diamond, items.sapling]
    amounts += [items.wood_pickaxe, items.stone_pickaxe, items.iron_pickaxe]
    amounts += [items.wood_sword, items.stone_sword, items.iron_sword]
    amounts += [state.player_health, state.player_food, state.player_drink, state.player_energy]
    return ClassicObservation(
        ground=_view(state.map, CLASSIC_VIEW, player, OUT_OF_BOUNDS).astype(jnp.uint8),
        mobs=(pairs[:, 0] + 16 * pairs[:, 1]).astype(jnp.uint8),
        amounts=_row(jnp.float16, *amounts) / jnp.float16(10.0),
        direction=_row(jnp.uint8, state.player_direction - 1),
        sleeping=_row(jnp.bool_, state.is_sleeping),
        light=_row(jnp.float32, state.light_level),
        last_action=last_action,
        last_reward=last_reward,
    )


def unpack_craftax(obs: CraftaxObservation) -> Float32[Array, "*batch 8268"]:
    """Upstream's flat vector, bit for bit that of `render_craftax_symbolic`."""
    ground, mobs = CRAFTAX_PARTS[:2]
    block, item = ground.unpacked(obs.ground)
    types = jnp.stack(mobs.unpacked(obs.mobs), axis=-1)
    cells = [
        _one_hot(block, 37),
        _one_hot(item, 5),
        (types == 0).astype(jnp.float32).reshape(*block.shape, -1),
        (obs.ground > 0).astype(jnp.float32)[..., None],
    ]
    rest = {part.name: _inputs(part, getattr(obs, part.name)) for part in CRAFTAX_PARTS[2:]}
    return _flat(jnp.concatenate(cells, axis=-1), rest, CRAFTAX_PLACES)


def unpack_classic(obs: ClassicObservation) -> Float32[Array, "*batch 1345"]:
    """Upstream's flat vector, bit for bit that of `render_craftax_symbolic`."""
    mobs = (jnp.stack(CLASSIC_PARTS[1].unpacked(obs.mobs), axis=-1) == 0).astype(jnp.float32)
    # A byte has two cells of four mobs each, and the last cell is none.
    mobs = mobs.reshape(*obs.mobs.shape[:-1], 64, 4)[..., :63, :]
    cells = [_one_hot(obs.ground, 17), mobs.reshape(*obs.ground.shape, 4)]
    rest = {part.name: _inputs(part, getattr(obs, part.name)) for part in CLASSIC_PARTS[2:]}
    return _flat(jnp.concatenate(cells, axis=-1), rest, CLASSIC_PLACES)


def _view(
    grid: Shaped[Array, "... H W"],
    shape: tuple[int, int],
    player: Int32[Array, "2"],
    outside: int,
    level: Int32[Array, ""] | None = None,
) -> Shaped[Array, "h w"]:
    """The cells around the player, of a level if the grid has several."""
    corner = player - np.array(shape, np.int32) // 2
    limit = np.array(grid.shape[-2:], np.int32) - np.array(shape, np.int32)
    inside = jnp.clip(corner, 0, limit)
    # Only what is seen is padded, not the map, which is many times as large.
    if level is None:
        seen = lax.dynamic_slice(grid, tuple(inside), shape)
    else:
        seen = lax.dynamic_slice(grid, (level, *inside), (1, *shape))[0]
    margin = np.array(shape, np.int32) // 2
    seen = jnp.pad(seen, [(each, each) for each in margin], constant_values=outside)
    return lax.dynamic_slice(seen, tuple(corner - inside + margin), shape)


def _mob_bits(
    position: Int32[Array, "n 2"],
    mask: Bool[Array, " n"],
    bit: Int32[Array, " n"],
    player: Int32[Array, "2"],
    shape: tuple[int, int],
) -> Int32[Array, "h w"]:
    """The bits of the mobs that are shown on each cell, as if they were drawn one after another.

    A mob that is not shown clears its bit where upstream draws it. A negative index counts from the
    end, and beyond that nothing is drawn.
    """
    size = np.array(shape, np.int32)
    place = position - player[None] + (size // 2)[None]
    shown = ((place >= 0) & (place < size[None])).all(axis=1) & mask
    place = jnp.where(place < 0, place + size[None], place)
    # A later mob overwrites an earlier one.
    same = (place[:, None] == place[None]).all(axis=-1) & (bit[:, None] == bit[None])
    shown &= ~jnp.triu(same, 1).any(axis=1)
    value = jnp.where(shown, jnp.int32(1) << bit, 0)
    cells = np.moveaxis(np.indices(shape, np.int32), 0, -1)
    here = (place[None, None] == cells[:, :, None]).all(axis=-1)
    return jnp.sum(jnp.where(here, value[None, None], 0), axis=-1, dtype=jnp.int32)


def _row(dtype: Any, *numbers: Any) -> Array:
    """Numbers and rows of numbers as one row."""
    return jnp.concatenate([jnp.ravel(jnp.asarray(each)).astype(dtype) for each in numbers])


def _one_hot(ids: Array, number: int) -> Array:
    return jax.nn.one_hot(ids, number, dtype=jnp.float32)


def _inputs(part: Any, x: Array) -> Array:
    """What upstream's flat vector has for a part with one axis."""
    if isinstance(part, Ids):
        return _one_hot(x[..., 0], part.num_ids)
    x = x.astype(jnp.float32)
    if isinstance(part, Counts):
        return (jnp.sqrt(x) if part.root else x) / part.scale
    return x


def _flat(cells: Array, rest: dict[str, Array], places: dict[str, tuple[int, ...]]) -> Array:
    """Upstream's flat vector of what its cells have and of the inputs of the other parts."""
    order = np.argsort(np.concatenate([places[name] for name in rest]))
    cells = cells.reshape(*cells.shape[:-3], -1)
    return jnp.concatenate([cells, jnp.concatenate(list(rest.values()), axis=-1)[..., order]], -1)
