"""Forked processes: JAX's threads do not survive a fork, so JAX would hang in the child."""

import os
import sys

_forked_from_jax = False


def refuse_forks() -> None:
    """Raises instead of hanging; every function that computes with JAX calls it first.

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
    _forked_from_jax = _jax_is_running()


def _jax_is_running() -> bool:
    # JAX has no public name for it. Where the private one is missing, no fork is refused.
    bridge = sys.modules.get("jax._src.xla_bridge")
    return getattr(bridge, "backends_are_initialized", lambda: False)()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no forks
    os.register_at_fork(after_in_child=_note_fork)
