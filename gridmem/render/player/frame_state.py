"""What is to be seen of a game at a moment."""

import numpy as np
from jaxtyping import Float32

from gridmem.render.frame import Moment
from gridmem.render.heatmap import on_map
from gridmem.render.player.game import Game
from gridmem.render.player.hud import advice, progress, status
from gridmem.render.player.keys import NOTES


def moment_of(game: Game) -> Moment:
    """The moment that the game is at."""
    session, agent, state = game.session, game.focus, game.session.state
    answer = game.cast.advice(session) if game.advised else None
    told, bars = advice(answer, agent)
    who = game.who if game.env.num_agents == 1 else f"{game.who}, agent {agent}"
    return Moment(
        tiles=np.asarray(state.world.tiles),
        positions=np.asarray(state.world.position),
        facing=np.asarray(state.last_action),
        agent=agent,
        view=np.asarray(session.timestep.obs.view[agent]),
        seen=session.seen(agent),
        whole=game.whole,
        title=game.title,
        lines=(
            *progress(session, agent, game.marks),
            ("plays", who),
            *game.caves.lines(game.number),
            *told,
        ),
        bars=bars,
        status=game.say or status(session, game.lead, game.playing, game.speed),
        notes=NOTES,
        help=game.box,
        heat=_heat(game),
    )


def attention(game: Game) -> Float32[np.ndarray, " S"] | None:
    """How much the agent in focus attends to each timestep; None if its memory has none to show."""
    answer = game.cast.advice(game.session)
    weights = None if answer is None else answer.extras.weights
    return None if weights is None else weights[game.focus]


def _heat(game: Game) -> Float32[np.ndarray, "H W"] | None:
    """Where the agent in focus went on this trip, or which of its past steps it attends to."""
    session, agent, weights = game.session, game.focus, None
    start = max(session.finds(agent), default=0)
    if game.heat == "memory":
        start, weights = 0, attention(game)
        if weights is None:
            return None
        weights = weights[: session.time + 1]
    elif game.heat is None:
        return None
    states = session.states[start : session.time + 1]
    cells = np.array([np.asarray(state.world.position)[agent] for state in states])
    return on_map(cells, weights, *session.level.tiles.shape)
