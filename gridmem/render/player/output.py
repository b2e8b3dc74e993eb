"""A game as frames or as one picture, without a window."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from gridmem.render.frame import frame
from gridmem.render.player.frame_state import attention, frame_state
from gridmem.render.player.game import Game
from gridmem.render.trip_figure import episode_picture
from gridmem.render.video import write_png


def play_out(game: Game, max_steps: int | None = None) -> None:
    """Plays to the end of the episode, or until it has `max_steps` steps with those of a replay."""
    episode = game.episode
    episode.seek(episode.num_steps)
    while not episode.done and (max_steps is None or episode.num_steps < max_steps):
        if game.player not in game.controllers.by_name:
            break
        game.tick()


def episode_frames(
    game: Game, size_px: tuple[int, int], max_steps: int | None = None
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The frames of the episode so far, from its start: one more than it has steps.

    Args:
        game: its episode is viewed from the start.
        size_px: width and height.
        max_steps: limits the steps.
    """
    last = game.episode.num_steps if max_steps is None else min(max_steps, game.episode.num_steps)
    for time in range(last + 1):
        game.episode.seek(time)
        status = f"step {time} of {game.env.max_steps}"
        yield frame(frame_state(game)._replace(status=status, help=()), *size_px)


def write_picture(path: str | Path, game: Game, max_steps: int | None = None) -> None:
    """Writes one picture of all trips of the agent in focus, with attention if `heat` is "memory".

    Raises:
        ValueError: if there are no steps yet, or the file cannot be written.
    """
    episode = game.episode
    if not episode.num_steps:
        raise ValueError("the episode has no steps yet, so there is no picture of it")
    actions = np.stack(episode.actions[:max_steps])
    title = f"{game.title}, {game.level_title}"
    weights = _attention_by_step(game, len(actions)) if game.heat == "memory" else None
    picture = episode_picture(game.env, episode.level, actions, game.focus, title, weights)
    try:
        write_png(path, picture)
    except OSError as error:
        raise ValueError(f"cannot write {path} ({error.strerror})") from None


def _attention_by_step(game: Game, num_steps: int) -> Float32[np.ndarray, "T S"] | None:
    """Row t: the attention to each timestep when action t is chosen; None without attention."""
    found = []
    for time in range(num_steps):
        game.episode.seek(time)
        found.append(attention(game))
    return None if any(weights is None for weights in found) else np.stack(found)
