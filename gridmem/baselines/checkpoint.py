"""Saving and loading a learner, by Orbax."""

import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from gridmem.baselines.learner import Learner


def save(path: Path, learner: Learner) -> None:
    """Writes a checkpoint folder; it appears whole or not at all, and replaces an older one.

    Orbax would delete the older one before it writes, and a full disk would leave neither. Here
    the older one is moved away, to where `load` still finds it, once the new one is whole.

    Raises:
        OSError: if the disk refuses; the older one is still there.
    """
    path = path.resolve()
    fresh, old = _beside(path, "new"), _beside(path, "old")
    try:
        with _plain_errors():
            ocp.save(str(fresh), learner._asdict(), overwrite=True)
    except BaseException:
        for leftover in path.parent.glob(f"{fresh.name}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        raise
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)
        path.rename(old)
    fresh.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def load(path: Path, like: Learner) -> Learner:
    """Reads a checkpoint.

    Args:
        path: the folder that `save` wrote.
        like: a learner of the same configuration, for shapes, dtypes and devices.
    """
    path = path.resolve()
    if not path.exists() and _beside(path, "old").exists():  # stopped between two renames
        path = _beside(path, "old")
    abstract: Any = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), like._asdict()
    )
    return Learner(**ocp.load(str(path), abstract))


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Turns the system's refusals into OSError and keeps Orbax from printing their tracebacks."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    except ValueError as error:
        code = re.search(r"os_error_code='(\d+)'", str(error))
        if code is None:
            raise
        raise OSError(int(code[1]), os.strerror(int(code[1]))) from error
    finally:
        logger.setLevel(level)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}.{suffix}")
