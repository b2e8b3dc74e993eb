"""A peer compiled for a batch, and the clock on its runs."""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
from jax import lax
from peers import Peer

KINDS = "step", "reset"


class Batch(NamedTuple):
    """Who is measured together, and at what size."""

    num_envs: int
    num_agents: int
    num_steps: int
    make: dict[str, Callable[[], Peer]]


class Entrant:
    """An environment compiled for a batch, and how long its runs took."""

    def __init__(self, peer: Peer, batch: Batch) -> None:
        keys = jax.random.split(jax.random.key(0), batch.num_envs)
        shape = batch.num_steps, batch.num_envs, batch.num_agents
        actions = jax.random.randint(jax.random.key(1), shape, 0, peer.num_actions)
        reset, reset_compile = compiled(jax.vmap(peer.reset), keys)
        state, _ = reset(keys)
        steps, step_compile = compiled(partial(scanned, peer), state, actions, keys)
        _, outputs = jax.block_until_ready(steps(state, actions, keys))

        num_streams = batch.num_envs * batch.num_agents
        self.runs = {
            "step": lambda: steps(state, actions, keys),
            "reset": lambda: reset(keys),
        }
        self.seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
        self.units = {"step": batch.num_steps * num_streams, "reset": batch.num_envs}
        self.compile_seconds = {"step": step_compile, "reset": reset_compile}
        self.work = {
            "map_cells": peer.num_cells,
            "state_bytes_per_env": num_bytes(state) // batch.num_envs,
            "output_bytes_per_agent_step": num_bytes(outputs) // self.units["step"],
        }

    def run(self, kind: str) -> None:
        """Runs once and notes the seconds."""
        begin = time.perf_counter()
        jax.block_until_ready(self.runs[kind]())
        self.seconds[kind].append(time.perf_counter() - begin)

    def rate(self, kind: str) -> float:
        """Agent steps or levels in a second, by the median of the runs."""
        return self.units[kind] / statistics.median(self.seconds[kind])


def scanned(peer: Peer, state: Any, actions: jax.Array, keys: jax.Array) -> Any:
    """The last state and the outputs of all steps."""
    return lax.scan(lambda state, action: jax.vmap(peer.step)(state, action, keys), state, actions)


def compiled(function: Callable[..., Any], *arguments: Any) -> tuple[Callable[..., Any], float]:
    """The function compiled for the arguments, and how many seconds that took."""
    begin = time.perf_counter()
    program = jax.jit(function).lower(*arguments).compile()
    return program, time.perf_counter() - begin


def num_bytes(tree: Any) -> int:
    """Bytes of all leaves."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))
