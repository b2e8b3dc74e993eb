"""Small datasets of Minari, made by random actions."""

from contextlib import contextmanager

import pytest

import gridmem
from gridmem.baselines.offline.recording import record, write
from gridmem.baselines.offline.sources import scripted

SHORT = {"max_steps": 12}
PENDULUM, CAVE = "test/pendulum-v0", "test/cave-v0"


@contextmanager
def folder(path):
    """Minari keeps its datasets there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(path))
        yield path


def make(name, id="Pendulum-v1", number=60, **options):
    env = gridmem.make(id, **options)
    about = {"policy": "random actions"}
    episodes = record(env, scripted(env, "random"), number)
    return write(name, env, id, options, episodes, about, (-70.0, -10.0))
