"""A game as pictures: the frame that shows it, those of an episode, and one of all its trips."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from gridmem.render.frame import FrameState, frame
from gridmem.render.heatmap import heat_on_map
from gridmem.render.player.controllers import YOU
from gridmem.render.player.game import Game
from gridmem.render.player.hud import policy_lines, progress_lines, status_text
from gridmem.render.player.keys import NOTES
from gridmem.render.trip_figure import episode_picture
from gridmem.render.video import write_png


def frame_state(game: Game) -> FrameState:
    """What a frame shows of a game at the viewed time."""
    episode, agent, state = game.episode, game.focus, game.episode.state
    advice = game.controllers.advice(episode) if game.shows_advice else None
    lines, bars = policy_lines(advice, agent)
    player = game.player_label
    return FrameState(
        tiles=np.asarray(state.world.tiles),
        positions=np.asarray(state.world.position),
        facing=np.asarray(state.last_action),
        agent=agent,
        view=np.asarray(episode.timestep.obs.view[agent]),
        seen=episode.seen(agent),
        whole=game.whole,
        title=game.title,
        lines=(
            *progress_lines(episode, agent, game.reference),
            ("player", player if game.env.num_agents == 1 else f"{player}, agent {agent}"),
            *game.levels.panel_lines(game.level_number),
            *lines,
        ),
        bars=bars,
        status=game.message or status_text(episode, game.player, game.playing, game.speed),
        notes=NOTES,
        help=game.overlay,
        heat=_heat(game),
    )


def play_out(game: Game, max_steps: int | None = None) -> None:
    """Plays to the end of the episode, or until it has `max_steps` steps with those of a replay."""
    episode = game.episode
    episode.seek(episode.num_steps)
    last = game.env.max_steps if max_steps is None else max_steps
    while not episode.done and episode.num_steps < last and game.player != YOU:
        game.tick()


def episode_frames(
    game: Game, size_px: tuple[int, int], max_steps: int | None = None
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The frames of the episode so far, width and height given: one more than it has steps."""
    for time in range(len(game.episode.actions[:max_steps]) + 1):
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


def _attention(game: Game) -> Float32[np.ndarray, " S"] | None:
    """The attention of the agent in focus to each timestep; None if its model has none."""
    decision = game.controllers.advice(game.episode)
    weights = None if decision is None else getattr(decision.extras, "weights", None)
    return None if weights is None else weights[game.focus]


def _heat(game: Game) -> Float32[np.ndarray, "H W"] | None:
    """Where the agent in focus went on this trip, or its attention to its past positions."""
    episode, agent, weights = game.episode, game.focus, None
    start = max(episode.find_times(agent), default=0)
    if game.heat == "memory":
        start, weights = 0, _attention(game)
    if game.heat is None or (game.heat == "memory" and weights is None):
        return None
    cells = episode.cells(agent, start)
    weights = None if weights is None else weights[: len(cells)]
    return heat_on_map(cells, weights, *episode.level.tiles.shape)


def _attention_by_step(game: Game, num_steps: int) -> Float32[np.ndarray, "T S"] | None:
    """Row t: the attention to each timestep when action t is chosen; None without attention."""
    found = []
    for time in range(num_steps):
        game.episode.seek(time)
        found.append(_attention(game))
    return None if any(weights is None for weights in found) else np.stack(found)
