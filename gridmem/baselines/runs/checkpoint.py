"""Saving and loading a learner, by Orbax."""

import errno
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from orbax.checkpoint import v1 as ocp

from gridmem.baselines.ppo.sharding import any_process, is_first
from gridmem.baselines.ppo.learner import Learner

ORBAX_OVERHEAD_BYTES = 2**17  # descriptions of the leaves, measured at half of that


def save(path: Path, learner: Learner) -> None:
    """Writes a checkpoint folder; it appears whole or not at all, and replaces an older one.

    Orbax would delete the older one before it writes, and a full disk would leave neither. Here
    the older one is moved away, to where `load` still finds it, once the new one is whole. Several
    processes must all call it, with a path at which each finds the same folder.

    Raises:
        OSError: if the disk refuses; the older one is still there.
    """
    path = path.resolve()
    fresh, old = _beside(path, "new"), _beside(path, "old")
    _first_alone(lambda: _make_way(fresh, learner))
    try:
        with _plain_errors():
            ocp.save(str(fresh), jax.tree.map(_nonempty, learner._asdict()))
    except BaseException:
        if is_first():
            _remove(fresh)
        raise
    _first_alone(lambda: _replace(path, fresh, old))


def _first_alone(action: Callable[[], None]) -> None:
    """Lets the first process do something while the others wait; OSError in all if it fails."""
    problem = None
    if is_first():
        try:
            action()
        except OSError as error:
            problem = error
    (failed,) = any_process(problem is not None)
    if failed:
        raise problem or OSError(errno.EIO, "refused to the first process")


def _make_way(fresh: Path, learner: Learner) -> None:
    _remove(fresh)
    _ensure_room(fresh.parent, learner)


def _replace(path: Path, fresh: Path, old: Path) -> None:
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)
        path.rename(old)
    fresh.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def load(path: Path, like: Learner) -> Learner:
    """Reads a checkpoint.

    Args:
        path: the folder that `save` wrote; of several processes, all must be able to read it.
        like: a learner of the same configuration, for shapes, dtypes and devices.
    """
    path = _latest(path)

    def abstract(leaf: jax.Array) -> jax.ShapeDtypeStruct:
        shape = leaf.shape if leaf.size else (1,)
        return jax.ShapeDtypeStruct(shape, leaf.dtype, sharding=leaf.sharding)

    wanted: Any = jax.tree.map(abstract, like._asdict())
    stored = Learner(**ocp.load(str(path), wanted))
    # Leaves without entries, too, must be tied to their devices as the others are: otherwise the
    # second update after a load is compiled again.
    return jax.tree.map(
        lambda old, new: new if old.size else jax.device_put(old, new.sharding), like, stored
    )


def exists(path: Path) -> bool:
    """Whether there is a checkpoint for `load` to read."""
    return _latest(path).is_dir()


def _latest(path: Path) -> Path:
    path = path.resolve()
    old = _beside(path, "old")
    return old if old.is_dir() and not path.exists() else path  # stopped between two renames


def _nonempty(leaf: jax.Array) -> jax.Array:
    """The leaf, or a zero in the place of one without entries, which Orbax refuses."""
    return leaf if leaf.size else jnp.zeros((1,), leaf.dtype)


def _ensure_room(folder: Path, learner: Learner) -> None:
    """Raises OSError if the disk is full, before Orbax's threads find out one by one."""
    num_bytes = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(learner))
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(num_bytes + ORBAX_OVERHEAD_BYTES))


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Turns the system's refusals into OSError and keeps Orbax from printing their tracebacks."""
    # For good: its threads go on to complain after it has raised.
    logging.getLogger("absl").setLevel(logging.CRITICAL + 1)
    try:
        yield
    except ValueError as error:
        code = re.search(r"os_error_code='(\d+)'", str(error))
        if code is None:
            raise
        raise OSError(int(code[1]), os.strerror(int(code[1]))) from error


def _remove(folder: Path) -> None:
    """Deletes what is left of a checkpoint, Orbax's temporary folder included."""
    for leftover in folder.parent.glob(f"{folder.name}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}.{suffix}")
