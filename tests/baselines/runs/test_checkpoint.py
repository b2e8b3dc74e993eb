from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
import tiny
from refusing_disk import file_size_limit

from gridmem.baselines.ppo.learner import update
from gridmem.baselines.runs import checkpoint
from gridmem.baselines.runs.checkpoint import load, save


@pytest.fixture(scope="module")
def learners():
    """A learner at the start and one that has learned a little."""
    env = tiny.CONFIG.make_env()
    graphdef, first = tiny.start(tiny.CONFIG)
    later, _ = update(tiny.CONFIG, env, graphdef, tiny.start(tiny.CONFIG)[1])
    return first, later


def assert_same(learner, other):
    assert jax.tree.structure(learner) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(learner), jax.tree.leaves(other), strict=True):
        assert a.dtype == b.dtype
    for a, b in zip(tiny.host(learner), tiny.host(other), strict=True):
        np.testing.assert_array_equal(a, b)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_every_leaf_comes_back(learners, tmp_path):
    first, later = learners
    save(tmp_path / "checkpoint", later)
    assert_same(load(tmp_path / "checkpoint", first), later)
    with pytest.raises(AssertionError):
        assert_same(first, later)


@pytest.mark.slow
def test_every_leaf_of_unfinished_episodes_comes_back(tmp_path):
    config = tiny.config(
        method={"rollout_steps": 10},
        model={"num_layers": 1, "dtype": "bfloat16", "value_head": "hl_gauss", "window": 7},
        optimizer={"optimizer": "muon"},
    )
    (_, first), (_, other) = (tiny.start(replace(config, seed=seed)) for seed in (0, 1))
    # No zeros of a beginning, which would come back whatever is read.
    later = jax.tree.map(lambda x: x if tiny.is_key(x) or x.dtype == bool else x + 3, other)
    assert later.rollout_state is not None
    save(tmp_path / "checkpoint", later)
    loaded = load(tmp_path / "checkpoint", first)
    assert_same(loaded, later)
    # A leaf that is tied to no device would have the second update compiled again.
    assert all(leaf.committed for leaf in jax.tree.leaves(loaded))


def test_a_loaded_learner_continues_bit_for_bit(learners, tmp_path):
    env = tiny.CONFIG.make_env()
    graphdef, _ = tiny.start(tiny.CONFIG)
    save(tmp_path / "checkpoint", learners[1])
    loaded = load(tmp_path / "checkpoint", learners[0])
    straight, metrics = update(tiny.CONFIG, env, graphdef, tiny.copy(learners[1]))
    resumed, same_metrics = update(tiny.CONFIG, env, graphdef, tiny.copy(loaded))
    assert_same(straight, resumed)
    assert tiny.host(metrics) == tiny.host(same_metrics)


def test_a_checkpoint_replaces_an_older_one(learners, tmp_path):
    first, later = learners
    save(tmp_path / "checkpoint", first)
    save(tmp_path / "checkpoint", later)
    assert_same(load(tmp_path / "checkpoint", first), later)
    assert names(tmp_path) == ["checkpoint"]


def test_a_full_disk_leaves_the_older_one(learners, tmp_path):
    first, later = learners
    save(tmp_path / "checkpoint", first)
    with file_size_limit(2000), pytest.raises(OSError, match="File too large"):
        save(tmp_path / "checkpoint", later)
    assert_same(load(tmp_path / "checkpoint", later), first)
    save(tmp_path / "checkpoint", later)
    assert_same(load(tmp_path / "checkpoint", first), later)
    assert names(tmp_path) == ["checkpoint"]


def test_a_failure_while_it_is_written_leaves_the_older_one(learners, tmp_path, monkeypatch):
    first, later = learners
    save(tmp_path / "checkpoint", first)

    def fail(path, tree):
        begun = Path(f"{path}.orbax-checkpoint-tmp")
        begun.mkdir()
        (begun / "part").write_text("part")
        raise ValueError("OUT_OF_RANGE: Failed to write\nmore [os_error_code='28']")

    monkeypatch.setattr(checkpoint.ocp, "save", fail)
    with pytest.raises(OSError, match="No space left on device"):
        save(tmp_path / "checkpoint", later)
    assert names(tmp_path) == ["checkpoint"]
    assert_same(load(tmp_path / "checkpoint", later), first)


def test_the_older_one_is_found_after_a_kill_between_the_renames(learners, tmp_path):
    first, later = learners
    save(tmp_path / "checkpoint", first)
    (tmp_path / "checkpoint").rename(tmp_path / "checkpoint.old")
    assert_same(load(tmp_path / "checkpoint", later), first)
    with file_size_limit(2000), pytest.raises(OSError, match="File too large"):
        save(tmp_path / "checkpoint", later)
    assert_same(load(tmp_path / "checkpoint", later), first)
    save(tmp_path / "checkpoint", later)
    assert_same(load(tmp_path / "checkpoint", first), later)
    assert names(tmp_path) == ["checkpoint"]


def test_an_invalid_path_is_refused(learners, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises((OSError, ValueError)):
        save(tmp_path / "file" / "checkpoint", learners[0])
    assert names(tmp_path) == ["file"]
