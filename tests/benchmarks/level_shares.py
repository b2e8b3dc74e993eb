"""How levels of each id turn out: `uv run python tests/benchmarks/level_shares.py`.

Counts the maps whose region is too small to play in and which are therefore made all floor, and
the share of the interior that is wall or rock.
"""

from dataclasses import asdict

import jax
import jax.numpy as jnp
import numpy as np

import gridmem
from gridmem.envs.maps import NoiseMap
from gridmem.envs.types import Tile

BATCH = 2000
NUM_MAPS = {id: 20_000 if "Dig" in id else 100_000 for id in gridmem.CONFIGS}


class AsFound(NoiseMap):
    """The map before it is made all floor, however small its largest region is."""

    min_free_cells = 0


def free_cells(map: AsFound, num_maps: int) -> np.ndarray:
    """Floor cells of each of `num_maps` maps."""

    @jax.jit
    def batch(indices: jax.Array) -> jax.Array:
        keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(0), i))(indices)
        return jax.vmap(lambda key: jnp.sum(map.generate(key) == Tile.FLOOR))(keys)

    batches = jnp.arange(num_maps).reshape(-1, BATCH)
    return np.concatenate([np.asarray(batch(indices)) for indices in batches])


def main() -> None:
    """Measures and prints."""
    print(f"jax {jax.__version__}, {jax.devices()[0].device_kind}")
    print(f"{'':22}{'maps':>8}{'made floor':>12}{'solid: mean':>13}{'5 %':>7}{'95 %':>7}")
    for id, num_maps in NUM_MAPS.items():
        map_ = gridmem.make(id).config.map
        num_cells = map_.height * map_.width
        free = free_cells(AsFound(**asdict(map_)), num_maps)
        made_floor = free < map_.min_free_cells
        solid = 1 - np.where(made_floor, num_cells, free) / num_cells
        low, high = np.percentile(solid, [5, 95])
        print(
            f"{id:22}{num_maps:8,}{made_floor.mean():12.3%}{solid.mean():13.1%}"
            f"{low:7.1%}{high:7.1%}"
        )


if __name__ == "__main__":
    main()
