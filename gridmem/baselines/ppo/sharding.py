"""Data parallelism: the streams of a run sharded over a mesh of the devices of all processes.

All other arrays are replicated, and XLA sums gradients and means over the shards. Outside a mesh
the functions that place arrays return them unchanged.
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
    """The number of devices of a run: the most that divide what the method shares among them.

    Raises:
        ValueError: if there are several processes and the run cannot use all of their devices.
    """
    count, sizes = jax.device_count(), config.method.device_divisors(config.make_env())
    usable = gcd(count, *sizes)
    if list(sizes) == [1] and jax.process_count() > 1:
        raise ValueError(
            f"{config.env.env_id} by {config.method.name} uses one device; start one process"
        )
    if usable < count and jax.process_count() > 1:
        raise ValueError(
            f"the run has {' and '.join(map(str, sizes))} (environments and streams of a "
            f"minibatch); both must be multiples of the {count} devices of the "
            f"{jax.process_count()} processes"
        )
    return usable


@contextmanager
def mesh(count: int) -> Iterator[None]:
    """A context with a mesh of the first `count` devices; without a mesh if it is 1."""
    if count == 1:
        yield
        return
    devices = jax.make_mesh(
        (count,), (BATCH,), axis_types=(AxisType.Auto,), devices=jax.devices()[:count]
    )
    with jax.set_mesh(devices):
        yield


def num_devices() -> int:
    """The number of devices of the current mesh; 1 without a mesh."""
    return 1 if get_abstract_mesh().empty else get_abstract_mesh().size


def shard_batch[Tree](tree: Tree) -> Tree:
    """The arrays with their leading axis sharded over the devices; scalars are replicated."""
    return _constrained(tree, PartitionSpec(BATCH))


def replicate[Tree](tree: Tree) -> Tree:
    """The arrays, whole on every device."""
    return _constrained(tree, PartitionSpec())


def _constrained[Tree](tree: Tree, spec: PartitionSpec) -> Tree:
    if num_devices() == 1:
        return tree

    def place(x: jax.Array) -> jax.Array:
        return jax.lax.with_sharding_constraint(x, spec if x.ndim else PartitionSpec())

    return jax.tree.map(place, tree)


def shard_map_rows[**P, Rows](function: Callable[P, Rows]) -> Callable[P, Rows]:
    """`jax.shard_map` of a function over the rows of its arguments, without communication.

    Args:
        function: from trees with leaves [rows, ...] to such a tree; each row of the result must
            depend on that row of the arguments alone.
    """
    if num_devices() == 1:
        return function
    spec = PartitionSpec(BATCH)
    return jax.shard_map(function, in_specs=spec, out_specs=spec, check_vma=False)


def jit_on_mesh[**P, Tree](function: Callable[P, Tree]) -> Callable[P, Tree]:
    """`jax.jit` on a mesh, so that what a function creates is sharded from the beginning."""
    return function if num_devices() == 1 else jax.jit(function)


def init_distributed(
    coordinator: str | None, num_processes: int | None, process_id: int | None
) -> None:
    """`jax.distributed.initialize`, to be called before JAX is used.

    Args:
        coordinator: HOST:PORT at which the first process listens; None to ask the cluster
            (Slurm, MPI, Kubernetes).
        num_processes: how many there are; None likewise.
        process_id: which of them this is, 0 being the first; None likewise.

    Raises:
        ValueError: if the processes cannot connect.
    """
    try:
        jax.distributed.initialize(coordinator, num_processes, process_id)
    except (RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ValueError(
            f"cannot join the other processes ({reason}); give --coordinator HOST:PORT, "
            "--num-processes and --process-id, the same but for the last in every process"
        ) from None


def is_main_process() -> bool:
    """Whether this is the process that prints and writes files."""
    return jax.process_index() == 0


def any_process(*flags: bool) -> list[bool]:
    """Whether each flag is set in at least one process; all processes must call it."""
    if jax.process_count() == 1:
        return list(flags)
    of_all = multihost_utils.process_allgather(np.array(flags))
    return np.any(of_all.reshape(-1, len(flags)), axis=0).tolist()


def all_or_raise[Made](make: Callable[[], Made]) -> Made:
    """The result of `make`, which all processes must call and which must not communicate.

    Raises:
        ValueError: in all processes if `make` raises it in one, so that none waits for ever.
    """
    try:
        made = make()
    except ValueError:
        any_process(True)
        raise
    if any_process(False)[0]:
        raise ValueError("another process failed; see its error message")
    return made


def gather_to_host[Tree](tree: Tree) -> Tree:
    """The arrays, whole, as numpy arrays if there are several devices; all processes must call."""
    if jax.process_count() > 1:
        return multihost_utils.process_allgather(tree, tiled=True)
    return tree if jax.device_count() == 1 else jax.tree.map(np.asarray, tree)
