"""gymnax's spaces, without gymnax; where it is loaded, they are subclasses of its own."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
from gymnasium import spaces
from jaxtyping import Array, Bool

from gridmem.envs.checks import refuse_forks


@dataclass(frozen=True)
class Discrete:
    """The whole numbers from 0 to n - 1, as int32."""

    n: int
    shape: tuple[int, ...] = ()
    dtype: Any = jnp.int32

    def sample(self, key: Array) -> Array:
        """A uniformly random element."""
        refuse_forks()
        return jax.random.randint(key, self.shape, 0, self.n, self.dtype)

    def contains(self, x: Any) -> Bool[Array, ""]:
        """Whether it is an element."""
        refuse_forks()
        return (jnp.asarray(x) >= 0) & (jnp.asarray(x) < self.n)


@dataclass(frozen=True, eq=False)
class Box:
    """Arrays with elements between inclusive bounds."""

    low: Any
    high: Any
    shape: tuple[int, ...]
    dtype: Any

    def sample(self, key: Array) -> Array:
        """A uniformly random element."""
        refuse_forks()
        if jnp.issubdtype(self.dtype, jnp.integer):
            high = jnp.asarray(self.high, jnp.int32) + 1
            return jax.random.randint(key, self.shape, self.low, high).astype(self.dtype)
        return jax.random.uniform(key, self.shape, self.dtype, self.low, self.high)

    def contains(self, x: Any) -> Bool[Array, ""]:
        """Whether all elements lie between the bounds."""
        refuse_forks()
        return jnp.all((jnp.asarray(x) >= self.low) & (jnp.asarray(x) <= self.high))


@dataclass(frozen=True, eq=False)
class Dict:
    """Dicts or NamedTuples with a space for each part."""

    spaces: Mapping[str, Any]

    def sample(self, key: Array) -> dict[str, Any]:
        """A uniformly random element, as a dict."""
        refuse_forks()
        return {
            name: space.sample(jax.random.fold_in(key, i))
            for i, (name, space) in enumerate(self.spaces.items())
        }

    def contains(self, x: Any) -> Bool[Array, ""]:
        """Whether all parts are in their spaces."""
        refuse_forks()
        parts = x if isinstance(x, Mapping) else x._asdict()
        within = [space.contains(parts[name]) for name, space in self.spaces.items()]
        return jnp.all(jnp.array(within))


def as_gymnax(space: spaces.Space[Any]) -> Discrete | Box | Dict:
    """The corresponding space of this file."""
    if isinstance(space, spaces.Discrete):
        return for_gymnax(Discrete(int(space.n)))
    if isinstance(space, spaces.Box):
        return for_gymnax(Box(space.low, space.high, space.shape, space.dtype))
    assert isinstance(space, spaces.Dict), space
    return for_gymnax(Dict({name: as_gymnax(part) for name, part in space.spaces.items()}))


def for_gymnax(space: Any) -> Any:
    """If gymnax is loaded, the space as an instance of its class too, as its wrappers require."""
    module = sys.modules.get("gymnax.environments.spaces")
    if module is None:
        return space
    cls, fields = type(space), dict(vars(space))
    theirs = getattr(module, cls.__name__)
    if isinstance(space, Dict):
        fields["spaces"] = {name: for_gymnax(part) for name, part in space.spaces.items()}
    return space if isinstance(space, theirs) else _also(cls, theirs)(**fields)


@cache
def _also(cls: type, theirs: type) -> type:
    # Ours come first: theirs never draw the highest integers, and do not find the parts of dicts.
    return type(cls.__name__, (cls, theirs), {})
