"""Processes forked from one in which JAX runs: JAX's threads are missing there, and it hangs."""

import os
import sys

_forked_from_jax = False


def refuse_forks() -> None:
    """Better an error than silence; called by all that computes, before it does.

    Raises:
        RuntimeError: in a process forked from one that had already used JAX.
    """
    if _forked_from_jax:
        raise RuntimeError(
            "this process was forked from one that had already used JAX, which would hang here; "
            "start it with 'spawn', as in AsyncVectorEnv(..., context='spawn')"
        )


def _note_fork() -> None:
    global _forked_from_jax
    bridge = sys.modules.get("jax._src.xla_bridge")  # no public name tells whether JAX runs
    _forked_from_jax = bridge is not None and bridge.backends_are_initialized()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no forks
    os.register_at_fork(after_in_child=_note_fork)
