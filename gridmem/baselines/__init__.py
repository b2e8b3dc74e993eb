"""The reference agent: an on-policy transformer trained by PPO on whole episodes."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gridmem.baselines.agent import Agent, load, released

__all__ = ["Agent", "load", "released"]


def __getattr__(name: str) -> Any:
    """Loads public names on first use: they need `gridmem[train]`."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from gridmem.baselines import agent
    except ModuleNotFoundError as error:
        from gridmem.cli_utils import install

        raise ModuleNotFoundError(f"an agent needs {error.name}; {install('train')}") from None
    return getattr(agent, name)
