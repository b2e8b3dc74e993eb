"""What is told in words about an episode: beside the picture, and at its end."""

import numpy as np

from gridmem.render.player.cast import ORACLE, YOU
from gridmem.render.player.controllers import Answer
from gridmem.render.player.episode import Session
from gridmem.render.player.keys import AIM, MOVES
from gridmem.render.player.scores import Marks

TRIPS_SHOWN = 4
Lines = tuple[tuple[str, str], ...]


def progress(session: Session, agent: int, marks: Marks) -> Lines:
    """How an agent fares, as pairs of label and value."""
    trips = session.trips(agent)
    unseen = session.steps_since_goal(agent)
    shown = " ".join(map(str, trips[-TRIPS_SHOWN:]))
    return (
        ("visits", str(len(trips))),
        ("steps left", str(max(session.env.max_steps - session.time, 0))),
        ("goal seen", "not yet" if unseen is None else "now" if not unseen else _ago(unseen)),
        ("last trips" if len(trips) > TRIPS_SHOWN else "trips", shown or "none yet"),
        (marks.best_is, f"{marks.best[agent]:g}"),
        ("score", number(marks.score(len(trips), agent))),
    )


def _ago(steps: int) -> str:
    return f"{steps} step{'s' * (steps != 1)} ago"


def summary(session: Session, agent: int, marks: Marks, who: str, note: str) -> tuple[str, ...]:
    """What is to be said at the end of an episode, a line each.

    Args:
        session: the episode, at its end.
        agent: the one that it is about.
        marks: of its level.
        who: who moved that agent.
        note: a last line, about what becomes of the score.
    """
    trips = session.trips(agent)
    rows = [
        (who if who != ORACLE else "this time", len(trips), str(len(trips))),
        ("random", float(marks.random[agent]), f"{marks.random[agent]:.1f}"),
        # Where there is a ceiling, the oracle reaches it.
        (ORACLE, float(marks.best[agent]), f"{marks.best[agent]:g}"),
    ]
    lines = ["The episode is over", "", f"{'':12}{'visits':>8}{'score':>8}"]
    for label, visits, shown in rows:
        lines.append(f"{label:12}{shown:>8}{number(marks.score(visits, agent)):>8}")
    if trips:
        lines += ["", f"first trip {trips[0]} step{'s' * (trips[0] != 1)}"]
    if len(trips) > 1:
        lines[-1] += f", later {sum(trips[1:]) / (len(trips) - 1):.1f} on average"
    return (*lines, "", note, "N new level, R this one again, Esc quit")


def number(value: float | None) -> str:
    """Two digits after the point, or a dash where there is no number."""
    return "-" if value is None else f"{round(value, 2) + 0:.2f}"  # and not -0.00


def status(session: Session, lead: str, playing: bool, speed: int) -> str:
    """One line: what is going on, and the most useful keys."""
    at = f"step {session.time} of {session.last}"
    if playing:
        who = "the replay" if session.time < session.last else f"the {lead} plays"
        return f"{who}, {speed} steps a second; Space pauses, H help"
    if session.time < session.last:
        return f"{at}; Space goes on, . and , step, H help"
    if session.over:
        return "the episode is over; N new level, R this one again, H help"
    if lead != YOU:
        return f"the {lead} is paused; Space goes on, H help"
    return "your move; H help" if session.last else f"{AIM} H help"


def advice(answer: Answer | None, agent: int) -> tuple[Lines, tuple[tuple[str, float], ...]]:
    """What a trained agent thinks, as lines and bars of the panel.

    Args:
        answer: its answer; what it tells has a `value` [A] and `logits` [A, actions].
        agent: whose.

    Returns:
        the return that it expects, and how likely it is to move where; nothing without an answer.
    """
    if answer is None:
        return (), ()
    logits = answer.extras.logits[agent]
    likely = np.exp(logits - logits.max())
    bars = zip(MOVES, (likely / likely.sum()).tolist(), strict=True)
    return (("value", f"{answer.extras.value[agent]:.2f}"),), tuple(bars)
