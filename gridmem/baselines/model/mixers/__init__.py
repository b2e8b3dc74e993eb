"""How a token sees the past: one protocol, one file per mixer."""

from typing import Any, Protocol, runtime_checkable

from flax import nnx
from jaxtyping import Array, Float, Float32, Int

from gridmem.baselines.config import ModelConfig
from gridmem.baselines.registration import MIXERS, find

Cache = Any
Weights = Any
_METHODS = ("init_cache", "grow", "keep", "prepare", "step", "sequence")


@runtime_checkable
class Mixer(Protocol):
    """What a block asks of its mixer. `step` and `sequence` agree at every position.

    B streams, T tokens of D features. A segment is an episode's number within its stream, 0 or
    more: tokens see only their own segment. None stands for a single one.

    A cache is a tree of arrays; those with axes lead with B.
    """

    def init_cache(self, batch: int, length: int, segmented: bool = False) -> Cache:
        """The memory of streams that have seen nothing, with room for `length` tokens."""
        ...

    def grow(self, cache: Cache, length: int) -> Cache:
        """The same memory with room for `length` tokens in all."""
        ...

    def keep(self, cache: Cache, length: int) -> Cache:
        """The memory with room for `length` tokens, the last; a state of one size keeps all."""
        ...

    def prepare(self) -> Weights:
        """The weights in the layout of the matrix products; made once, outside a loop of steps."""
        ...

    def step(
        self,
        x: Float[Array, "B D"],
        cache: Cache,
        segment: Int[Array, " B"] | None,
        weights: Weights,
    ) -> tuple[Float[Array, "B D"], Cache]:
        """Takes in one token per stream."""
        ...

    def sequence(
        self, x: Float[Array, "B T D"], cache: Cache, segments: Int[Array, "B T"] | None = None
    ) -> Float[Array, "B T D"]:
        """Takes in T tokens per stream at once, after those that the cache has seen."""
        ...


@runtime_checkable
class ExplainingMixer(Mixer, Protocol):
    """A mixer that can show which tokens it attends to; others have no `explain`."""

    def explain(
        self,
        x: Float[Array, "B D"],
        cache: Cache,
        segment: Int[Array, " B"] | None,
        weights: Weights,
    ) -> tuple[Float[Array, "B D"], Cache, Float32[Array, "B S"]]:
        """What `step` gives, and a weight for each token that the cache has room for.

        Slot s is the token that came s-th since the cache was empty, the last one being that of
        this step. Weights are 0 or more and sum to 1; slots that are empty, or of another
        segment, have 0.
        """
        ...


@runtime_checkable
class RoundingMixer(Mixer, Protocol):
    """A mixer that may round what it remembers; training then uses what the rollout rounded to."""

    def rounded(self, cache: Cache) -> Any:
        """How the last token was rounded, a tree of leaves [B, ...]; None if it was not."""
        ...

    def with_rounded(self, cache: Cache, rounded: Any) -> Cache:
        """The cache for a `sequence` of T tokens that were rounded so, leaves [B, T, ...]."""
        ...


def make_mixer(config: ModelConfig, rngs: nnx.Rngs) -> Mixer:
    """The mixer that the config names.

    Raises:
        ValueError: if its class cannot be imported, or lacks a method of the protocol.
    """
    mixer = find(MIXERS, "mixer", config.mixer)(config, rngs)
    missing = [name for name in _METHODS if not hasattr(mixer, name)]
    if missing:
        raise ValueError(
            f"the mixer {config.mixer!r} ({type(mixer).__name__}) has no {missing[0]!r}; "
            "docs/extending.md lists what it must have"
        )
    return mixer
