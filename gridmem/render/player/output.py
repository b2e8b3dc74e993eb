"""A game as pictures, one a step, without a window."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from gridmem.render.frame import frame
from gridmem.render.player.frame_state import attention, moment_of
from gridmem.render.player.game import Game
from gridmem.render.png import write_png
from gridmem.render.trip_figure import episode_picture


def play_out(game: Game, max_steps: int | None = None) -> None:
    """Lets the episode go on to its end, or for so many steps, without pictures.

    What was played before, of a replay, counts and is not played again.
    """
    session = game.session
    session.go(session.last)
    while not session.over and (max_steps is None or session.last < max_steps):
        if game.lead not in game.cast.players:
            break
        game.tick()


def film(
    game: Game, size_px: tuple[int, int], max_steps: int | None = None
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The pictures of the episode so far, from its start: one more than it has steps.

    Args:
        game: its episode is looked at from the beginning.
        size_px: width and height.
        max_steps: of the episode, at most.
    """
    last = game.session.last if max_steps is None else min(max_steps, game.session.last)
    for time in range(last + 1):
        game.session.go(time)
        moment = moment_of(game)._replace(status=f"step {time} of {game.env.max_steps}", help=())
        yield frame(moment, *size_px)


def write_picture(path: str | Path, game: Game, max_steps: int | None = None) -> None:
    """Writes one picture of all trips of the agent in focus; with its attention, if that is shown.

    Raises:
        ValueError: if nothing has been played yet, or the file cannot be written.
    """
    session = game.session
    if not session.last:
        raise ValueError("nothing has been played yet, so there is no picture of it")
    actions = np.stack(session.actions[:max_steps])
    title = f"{game.title}, {game.cave}"
    attended = _attended(game, len(actions)) if game.heat == "memory" else None
    picture = episode_picture(game.env, session.level, actions, game.focus, title, attended)
    try:
        write_png(path, picture)
    except OSError as error:
        raise ValueError(f"cannot write {path} ({error.strerror})") from None


def _attended(game: Game, num_steps: int) -> Float32[np.ndarray, "T S"] | None:
    """How much the agent in focus attends to each timestep, when it chooses each action."""
    found = []
    for time in range(num_steps):
        game.session.go(time)
        found.append(attention(game))
    return None if any(weights is None for weights in found) else np.stack(found)
