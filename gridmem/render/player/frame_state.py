"""From a game to the frame that shows it."""

import numpy as np
from jaxtyping import Float32

from gridmem.render.frame import FrameState
from gridmem.render.heatmap import heat_on_map
from gridmem.render.player.game import Game
from gridmem.render.player.hud import policy_lines, progress_lines, status_text
from gridmem.render.player.keys import NOTES


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


def attention(game: Game) -> Float32[np.ndarray, " S"] | None:
    """The attention of the agent in focus to each timestep; None if its model has none."""
    decision = game.controllers.advice(game.episode)
    weights = None if decision is None else decision.extras.weights
    return None if weights is None else weights[game.focus]


def _heat(game: Game) -> Float32[np.ndarray, "H W"] | None:
    """Where the agent in focus went on this trip, or its attention to its past positions."""
    episode, agent, weights = game.episode, game.focus, None
    start = max(episode.find_times(agent), default=0)
    if game.heat == "memory":
        start, weights = 0, attention(game)
        if weights is None:
            return None
        weights = weights[: episode.time + 1]
    elif game.heat is None:
        return None
    states = episode.states[start : episode.time + 1]
    cells = np.array([np.asarray(state.world.position)[agent] for state in states])
    return heat_on_map(cells, weights, *episode.level.tiles.shape)
