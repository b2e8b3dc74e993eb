"""The devices of all processes as one mesh, over which the streams of a run are divided.

What is not divided is the same everywhere. XLA adds up the parts of gradients and means. Where no
mesh is in use, nothing here does anything.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import gcd

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, PartitionSpec, get_abstract_mesh

from gridmem.baselines.config import TrainConfig

BATCH = "batch"


def usable_devices(config: TrainConfig) -> int:
    """How many devices a run uses: as many as evenly divide its environments and minibatches.

    Raises:
        ValueError: if there are several processes and it cannot use all of their devices.
    """
    ppo, count = config.ppo, jax.device_count()
    minibatch = ppo.num_envs * config.make_env().num_agents // ppo.num_minibatches
    usable = gcd(count, ppo.num_envs, minibatch)
    if usable < count and jax.process_count() > 1:
        raise ValueError(
            f"num_envs is {ppo.num_envs} and a minibatch has {minibatch} streams; both must be "
            f"multiples of the {count} devices of the {jax.process_count()} processes"
        )
    return usable


@contextmanager
def mesh(count: int) -> Iterator[None]:
    """Within it, so many devices are in use; none but the first if it is 1."""
    if count == 1:
        yield
        return
    devices = jax.make_mesh(
        (count,), (BATCH,), axis_types=(AxisType.Auto,), devices=jax.devices()[:count]
    )
    with jax.set_mesh(devices):
        yield


def num_devices() -> int:
    """In use here."""
    return 1 if get_abstract_mesh().empty else get_abstract_mesh().size


def divided[Tree](tree: Tree) -> Tree:
    """The same arrays, their leading axis divided among the devices; scalars are everywhere."""
    return _constrained(tree, PartitionSpec(BATCH))


def everywhere[Tree](tree: Tree) -> Tree:
    """The same arrays, whole on every device."""
    return _constrained(tree, PartitionSpec())


def _constrained[Tree](tree: Tree, spec: PartitionSpec) -> Tree:
    if num_devices() == 1:
        return tree

    def place(x: jax.Array) -> jax.Array:
        return jax.lax.with_sharding_constraint(x, spec if x.ndim else PartitionSpec())

    return jax.tree.map(place, tree)


def row_by_row[**P, Rows](function: Callable[P, Rows]) -> Callable[P, Rows]:
    """A function of which each device does its share of the rows, asking nothing of the others.

    Args:
        function: of trees whose arrays all lead with the rows, to such a tree; what it makes of a
            row must depend on that row alone.
    """
    if num_devices() == 1:
        return function
    spec = PartitionSpec(BATCH)
    return jax.shard_map(function, in_specs=spec, out_specs=spec, check_vma=False)


def made_in_place[**P, Tree](function: Callable[P, Tree]) -> Callable[P, Tree]:
    """A function of no arrays, so that what it makes is at once where it says it should be."""
    return function if num_devices() == 1 else jax.jit(function)


def join(coordinator: str | None, num_processes: int | None, process_id: int | None) -> None:
    """Makes this process one of several that train together; before anything else asks for JAX.

    Args:
        coordinator: host:port at which the first process listens; None to take what the cluster
            tells (Slurm, MPI, Kubernetes), see `jax.distributed.initialize`.
        num_processes: how many there are; None likewise.
        process_id: which of them this is, 0 being the first; None likewise.

    Raises:
        ValueError: if they do not find one another.
    """
    try:
        jax.distributed.initialize(coordinator, num_processes, process_id)
    except (RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ValueError(
            f"cannot join the other processes ({reason}); give --coordinator HOST:PORT, "
            "--num-processes and --process-id, the same but for the last in every process"
        ) from None


def is_first() -> bool:
    """Whether this process is the one that speaks and writes."""
    return jax.process_index() == 0


def any_process(*flags: bool) -> list[bool]:
    """Whether each flag is set in one process or another; all must ask."""
    if jax.process_count() == 1:
        return list(flags)
    of_all = multihost_utils.process_allgather(np.array(flags))
    return np.any(of_all.reshape(-1, len(flags)), axis=0).tolist()


def agreed[Made](make: Callable[[], Made]) -> Made:
    """What each process makes, asking nothing of the others; all must make it.

    Raises:
        ValueError: in all of them if it is raised in one, so that none waits for another in vain.
    """
    try:
        made = make()
    except ValueError:
        any_process(True)
        raise
    if any_process(False)[0]:
        raise ValueError("another process cannot go on; it says why")
    return made


def fetched[Tree](tree: Tree) -> Tree:
    """Arrays of numbers whole, out of the devices if there are several; all processes must ask."""
    if jax.process_count() > 1:
        return multihost_utils.process_allgather(tree, tiled=True)
    return tree if jax.device_count() == 1 else jax.tree.map(np.asarray, tree)
