"""Saving and loading a learner, by Orbax."""

from pathlib import Path
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from gridmem.baselines.learner import Learner


def save(path: Path, learner: Learner) -> None:
    """Writes a checkpoint folder; it appears whole or not at all, and replaces an older one."""
    ocp.save(str(path.resolve()), learner._asdict(), overwrite=True)


def load(path: Path, like: Learner) -> Learner:
    """Reads a checkpoint.

    Args:
        path: the folder that `save` wrote.
        like: a learner of the same configuration, for shapes and dtypes.
    """
    abstract: Any = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), like._asdict())
    return Learner(**ocp.load(str(path.resolve()), abstract))
