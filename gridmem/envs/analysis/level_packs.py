"""Packs of levels, stored in files with a hash.

A pack is an `.npz` file: walls and rocks as bits, goals and spawns as bytes, and in the test packs
the returns of random actions and of shortest paths on each level. Its SHA-256 is that of the
arrays, not of the file, so it does not depend on the compression.
"""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from gridmem.envs.assets import asset
from gridmem.envs.checks import nearest, unknown_name
from gridmem.envs.levels import as_level, checked_levels
from gridmem.envs.registry import CONFIGS
from gridmem.envs.types import Level, Tile

SPLITS = ("test",)
SHA256 = {
    "GridMem-9x9-v0": "3374852b5fe2280c22ff3c0be2c4c4db1ac3b87cddb177792b946a457b95a873",
    "GridMem-13x13-v0": "5aef5f6dac407272929a4f3749409e5a32835d3b1dae552c5314752688bcba45",
    "GridMem-20x20-v0": "ca3e4d5dbf90fd942c486114871f096282f8232cb2531d127f93364453a9a647",
    "GridMem-v0": "a2e7df2b26bc8e3b959cde012649093f2013a63357d42ff8ea3153104b2cf3fc",
    "GridMem-Dig-v0": "ce83af6e17de523c56cc7cac447b002aa2d0bf1118c1ea7906b3014eb3336367",
    "GridMem-DigLarge-v0": "0ceb5fc0d63e61e7d0c8b1d4f9c8b9f9cbc2afccad7c7cd5203a48e95d6f7fc6",
}
"""The hash of the test pack of each id."""


class Pack(NamedTuple):
    """Levels and their reference returns."""

    levels: Level  # leaves lead with N
    random_return: Float32[np.ndarray, " N"]  # mean return of random actions
    best_return: Float32[np.ndarray, " N"]  # the return of a score of 1
    best: str  # what it is: "ceiling" or "oracle"; "" and returns of nan if unknown


def levels(id: str, split: str = "test") -> Level:
    """The 1,000 stored levels of an id, as numpy arrays; training never draws them.

    They have the registered map of the id and fit any number of agents, view and time limit:
    `jax.vmap(env.start)(levels)`, `env.reset(options={"level": ...})`.

    Args:
        id: one of the ids in the README.
        split: "test".

    Returns:
        N levels, with tiles u8[N,H,W], goals i32[N,G,2], spawns i32[N,K,2].

    Raises:
        ValueError: for an unknown id or split, or a damaged pack.
    """
    return pack(id, split).levels


def pack(id: str, split: str = "test") -> Pack:
    """The stored levels of an id with their reference returns; see `levels`."""
    if id not in CONFIGS:
        raise ValueError(
            f"there are no levels of {id!r}{nearest(id, CONFIGS)}; the ids are {', '.join(CONFIGS)}"
        )
    if split not in SPLITS:
        raise ValueError(unknown_name("split", split, SPLITS, "splits"))
    return read_pack(asset(f"levels/{id}-{split}.npz"), SHA256[id])


def save_levels(path: str | Path, levels: Level) -> str:
    """Writes levels as a pack.

    Args:
        path: the file; an existing one is replaced.
        levels: N levels: tiles u8[N,H,W], goals i32[N,G,2], spawns i32[N,K,2].

    Returns:
        Its SHA-256, with which `load_levels` can verify the content.

    Raises:
        ValueError: for invalid levels.
    """
    unknown = np.full(len(levels.tiles), np.nan, np.float32)
    return write_pack(path, Pack(levels, unknown, unknown, ""))


def load_levels(path: str | Path, sha256: str | None = None) -> Level:
    """Reads levels that `save_levels` wrote.

    Args:
        path: the file.
        sha256: the expected hash of its content; by default the hash that the file itself states.

    Returns:
        N levels as numpy arrays, with tiles u8[N,H,W], goals i32[N,G,2], spawns i32[N,K,2].

    Raises:
        ValueError: if the file is not a pack, is damaged, or has another hash.
    """
    return read_pack(path, sha256).levels


def write_pack(path: str | Path, pack: Pack) -> str:
    """Writes a pack and returns its SHA-256."""
    tiles, goals, spawns = map(np.asarray, checked_levels(pack.levels))
    arrays = {
        "shape": np.array(tiles.shape, np.int32),
        "wall": np.packbits(tiles == Tile.WALL),
        "rock": np.packbits(tiles == Tile.ROCK),
        "goals": goals.astype(np.uint8),
        "spawns": spawns.astype(np.uint8),
        "random_return": pack.random_return.astype(np.float32),
        "best_return": pack.best_return.astype(np.float32),
        "best": np.array(pack.best),
    }
    sha256 = _sha256(arrays)
    with Path(path).open("wb") as file:  # given a name, numpy would append an extension
        np.savez_compressed(file, sha256=np.array(sha256), **arrays)
    return sha256


def read_pack(path: str | Path, sha256: str | None = None) -> Pack:
    """Reads a pack after checking its hash; see `load_levels`."""
    try:
        # Opened here, because numpy does not close a file that it cannot read.
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as zipped:
            arrays = dict(zipped)
        stated = str(arrays.pop("sha256"))
        actual = _sha256(arrays)
        pack = _unpacked(arrays) if actual == stated else None
    except FileNotFoundError:
        raise ValueError(f"there is no level pack {path}") from None
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as cause:
        raise ValueError(f"{path} is not a level pack, or is damaged ({cause})") from None
    if pack is None or actual != (sha256 or stated):
        raise ValueError(
            f"the level pack {path} has been changed: its content hashes to {actual[:12]}..., and "
            f"it should be {(sha256 or stated)[:12]}...; get the file again"
        )
    return pack


def _unpacked(arrays: dict[str, np.ndarray]) -> Pack:
    shape = tuple(int(side) for side in arrays["shape"])
    tiles = np.zeros(shape, np.uint8)
    for name, tile in (("wall", Tile.WALL), ("rock", Tile.ROCK)):
        bits = np.unpackbits(arrays[name], count=tiles.size).reshape(shape)
        tiles[bits.astype(bool)] = tile
    goals, spawns = arrays["goals"].astype(np.int32), arrays["spawns"].astype(np.int32)
    tiles[np.arange(len(tiles))[:, None], goals[..., 0], goals[..., 1]] = Tile.GOAL
    return Pack(
        as_level(tiles, goals, spawns),
        arrays["random_return"],
        arrays["best_return"],
        str(arrays["best"]),
    )


def _sha256(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        head: list[Any] = [name, array.dtype.str, array.shape]
        digest.update(json.dumps(head).encode() + b"\n" + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
