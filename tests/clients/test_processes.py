"""Environments in processes of their own: they work or say why not, and never hang."""

import subprocess
import sys

import pytest

PLAY = """
import gymnasium
import jax
import gridmem

def make_vec(context):
    options = {"map": {"type": "TextMap", "rows": ["#####", "#0G.#", "#####"]}}
    return gymnasium.make_vec(
        "GridMem-v0", 1, vectorization_mode="async", vector_kwargs={"context": context}, **options
    )

if __name__ == "__main__":
    jax.numpy.zeros(1)  # the user's own work with JAX; no environment has been played
    for context in ("fork", "spawn"):
        envs = make_vec(context)
        try:
            envs.reset(seed=0)
            print(context, "pays", envs.step([1])[1].tolist())
        except RuntimeError as error:
            print(context, "is refused:", error)
        envs.close(terminate=True)
"""


@pytest.mark.slow
def test_async_vector_env_is_refused_a_fork_and_works_by_spawn(tmp_path):
    program = tmp_path / "play.py"
    program.write_text(PLAY)
    played = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=60)
    assert played.returncode == 0, played.stderr
    fork, spawn = played.stdout.splitlines()
    assert fork.startswith("fork is refused: this process was forked from one that had already")
    assert spawn == "spawn pays [1.0]"
