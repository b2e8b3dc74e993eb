"""Saving and loading the state of a method, by Orbax."""

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

from gridmem.baselines.ppo.sharding import any_process, is_main_process

ORBAX_OVERHEAD_BYTES = 2**17  # descriptions of the leaves, measured at half of that
_STORED_NAMES = {"rollout_state": "ongoing"}
"""Field of a state -> its name in checkpoints, which are those of all versions."""


def save(path: Path, state: Any) -> None:
    """Writes a checkpoint directory, atomically; it replaces an older one.

    Orbax deletes the older one before it writes, so that a full disk would leave neither. Here
    the older one is renamed, to a name that `load` knows, once the new one is complete. All
    processes must call it, with a path that is the same directory for each.

    Raises:
        OSError: if the disk refuses; the older one still exists.
    """
    path = path.resolve()
    new, old = _sibling(path, "new"), _sibling(path, "old")
    _on_main(lambda: _make_room(new, state))
    try:
        with _plain_errors():
            ocp.save(str(new), jax.tree.map(_nonempty, _by_stored_name(state)))
    except BaseException:
        if is_main_process():
            _remove(new)
        raise
    _on_main(lambda: _replace(path, new, old))


def _on_main(action: Callable[[], None]) -> None:
    """Calls a function in the main process while the others wait; OSError in all if it fails."""
    problem = None
    if is_main_process():
        try:
            action()
        except OSError as error:
            problem = error
    (failed,) = any_process(problem is not None)
    if failed:
        raise problem or OSError(errno.EIO, "refused to the main process")


def _make_room(new: Path, state: Any) -> None:
    _remove(new)
    _check_free_space(new.parent, state)


def _replace(path: Path, new: Path, old: Path) -> None:
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)
        path.rename(old)
    new.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def load(path: Path, like: Any) -> Any:
    """Reads a checkpoint.

    Args:
        path: the directory that `save` wrote; all processes must be able to read it.
        like: a state of the same config, for shapes, dtypes and devices.
    """
    path = _latest(path)

    def abstract(leaf: jax.Array) -> jax.ShapeDtypeStruct:
        shape = leaf.shape if leaf.size else (1,)
        return jax.ShapeDtypeStruct(shape, leaf.dtype, sharding=leaf.sharding)

    abstract_tree: Any = jax.tree.map(abstract, _by_stored_name(like))
    tree = ocp.load(str(path), abstract_tree)
    stored = _from_stored_name(like, tree)
    # Empty leaves, too, must be committed to their devices: otherwise the second update after a
    # load is compiled again.
    return jax.tree.map(
        lambda old, new: new if old.size else jax.device_put(old, new.sharding), like, stored
    )


def exists(path: Path) -> bool:
    """Whether there is a checkpoint."""
    return _latest(path).is_dir()


def _latest(path: Path) -> Path:
    path = path.resolve()
    old = _sibling(path, "old")
    # The process may have ended between two renames.
    return old if old.is_dir() and not path.exists() else path


def _by_stored_name(state: Any) -> dict[str, Any]:
    """A state, or one for each seed, as a dict."""
    if isinstance(state, list):
        return {str(number): _by_stored_name(each) for number, each in enumerate(state)}
    fields: dict[str, Any] = state._asdict()
    return {_STORED_NAMES.get(name, name): leaf for name, leaf in fields.items()}


def _from_stored_name(like: Any, tree: Any) -> Any:
    """The inverse of `_by_stored_name`."""
    if isinstance(like, list):
        return [_from_stored_name(each, tree[str(number)]) for number, each in enumerate(like)]
    return type(like)(**{name: tree[_STORED_NAMES.get(name, name)] for name in like._fields})


def _nonempty(leaf: jax.Array) -> jax.Array:
    """The leaf, or a zero instead of an empty one, which Orbax refuses."""
    return leaf if leaf.size else jnp.zeros((1,), leaf.dtype)


def _check_free_space(folder: Path, state: Any) -> None:
    """Raises OSError if the disk is full, before each of Orbax's threads fails."""
    num_bytes = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(num_bytes + ORBAX_OVERHEAD_BYTES))


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Raises OSError for errors of the system, and keeps Orbax from printing their tracebacks."""
    # Permanently: its threads still log errors after it has raised.
    logging.getLogger("absl").setLevel(logging.CRITICAL + 1)
    try:
        yield
    except ValueError as error:
        code = re.search(r"os_error_code='(\d+)'", str(error))
        if code is None:
            raise
        raise OSError(int(code[1]), os.strerror(int(code[1]))) from error


def _remove(folder: Path) -> None:
    """Deletes a checkpoint and Orbax's temporary directories."""
    for leftover in folder.parent.glob(f"{folder.name}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _sibling(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}.{suffix}")
