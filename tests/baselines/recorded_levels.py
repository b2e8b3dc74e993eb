"""An environment that records a digest of every level it starts."""

import hashlib
from contextlib import contextmanager
from dataclasses import replace

import jax
import numpy as np
import tiny

from gridmem import Env, Return

CONFIG = tiny.config(
    env={"num_agents": 2},
    model={"mixer": "none", "num_layers": 1},
    method={"num_envs": 4, "num_epochs": 1},
)
_digests = []


class RecordingReturn(Return):
    """Notes a digest of every level that is started, inside compiled functions too."""

    def init(self, level, num_agents):
        jax.debug.callback(_note, level, ordered=False)
        return super().init(level, num_agents)


def _note(level):
    leaves = [np.asarray(leaf) for leaf in level]
    leaves = [leaf[None] if leaf.ndim == 2 else leaf for leaf in leaves]
    for each in zip(*leaves, strict=True):
        _digests.append(hashlib.sha256(b"".join(leaf.tobytes() for leaf in each)).hexdigest())


ENV = Env(replace(CONFIG.make_env().config, task=RecordingReturn()))


@contextmanager
def collect():
    """The list of digests of levels played within it, complete once it is left."""
    _digests.clear()
    digests = []
    yield digests
    jax.effects_barrier()
    digests.extend(_digests)
