"""The environment of a training run: an id and options of `gridmem.make`."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any, Literal

from gridmem.baselines.setting_types import check_type
from gridmem.envs.config import plain

COMMON_OPTIONS: dict[str, tuple[Any, str]] = {
    "view_size": (
        int | Literal["full"] | None,
        "Side of the view in cells; the id's own if not given.",
    ),
    "num_agents": (int | None, "Agents that share a cave; the id's own if not given."),
    "max_steps": (int | None, "Actions per episode; the id's own if not given."),
    "goal_moves": (
        bool | None,
        "The goal moves whenever it is found: a control in which remembering it is worthless.",
    ),
    "compass": (
        bool | None,
        "Show the agent the direction of the goal: a control that needs no memory.",
    ),
}
"""Options of `gridmem.make` with a flag of their own: name -> (type, description)."""


class Options(Mapping[str, Any]):
    """A mapping that cannot be changed and is hashable."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = dict(options)

    def __getitem__(self, name: str) -> Any:
        return self._options[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._options)

    def __len__(self) -> int:
        return len(self._options)

    def __hash__(self) -> int:
        return hash(frozenset(self))

    def __repr__(self) -> str:
        return repr(self._options)


@dataclass(frozen=True, init=False)
class EnvSettings:
    """The environment: an id, and the options in which it differs from it."""

    env_id: str
    """Environment id; the README lists them."""
    options: Options
    """Any options of `gridmem.make`, as JSON-able data."""

    def __init__(
        self,
        env_id: str = "GridMem-9x9-v0",
        *,
        options: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Sets the options in `options` and `more`; one that is None is the id's own.

        Raises:
            ValueError: if a value has a wrong type. `gridmem.make` checks the others.
        """
        check_type("env_id", env_id, str)
        if "id" in more or "id" in (options or {}):
            raise ValueError("there is no option 'id'; env_id names the environment")
        env_id = "+".join(part.strip() for part in env_id.split("+"))  # of a mixture
        object.__setattr__(self, "env_id", env_id)
        given = {name: _plain(value) for name, value in {**(options or {}), **more}.items()}
        for name, value in given.items():
            if name in COMMON_OPTIONS:
                check_type(name, value, COMMON_OPTIONS[name][0])
        given = Options({name: value for name, value in given.items() if value is not None})
        object.__setattr__(self, "options", given)

    def to_dict(self) -> dict[str, Any]:
        """The id and the options as JSON-able data; common ones that are not given are None."""
        return {"env_id": self.env_id, **dict.fromkeys(COMMON_OPTIONS), **self.options}


def _plain(value: Any) -> Any:
    """JSON-able data for the value of an option, such as a map or a task."""
    if is_dataclass(value):
        value = {"type": type(value).__name__, **asdict(value)}  # pyright: ignore[reportArgumentType]
    return plain(value)
