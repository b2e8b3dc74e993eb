"""The text that describes an episode: beside the picture, and at the end."""

import numpy as np

from gridmem.render.player.controllers import ORACLE, YOU
from gridmem.render.player.episode import Decision, Episode
from gridmem.render.player.keys import AIM, MOVES
from gridmem.render.player.reference_returns import ReferenceReturns

TRIPS_SHOWN = 4
Lines = tuple[tuple[str, str], ...]


def progress_lines(episode: Episode, agent: int, reference: ReferenceReturns) -> Lines:
    """The progress of an agent, as pairs of label and value."""
    trips = episode.trip_steps(agent)
    unseen = episode.steps_since_goal(agent)
    goal_seen = "not yet" if unseen is None else f"{_steps(unseen)} ago" if unseen else "now"
    shown = " ".join(map(str, trips[-TRIPS_SHOWN:]))
    return (
        ("finds", str(len(trips))),
        ("steps left", str(max(episode.env.max_steps - episode.time, 0))),
        ("goal seen", goal_seen),
        ("last trips" if len(trips) > TRIPS_SHOWN else "trips", shown or "none yet"),
        (reference.best_name, f"{reference.best[agent]:g}"),
        ("score", format_score(reference.score(len(trips), agent))),
    )


def summary_lines(
    episode: Episode, agent: int, reference: ReferenceReturns, player: str, note: str
) -> tuple[str, ...]:
    """The lines of the summary at the end of an episode; `note` says if the score was saved."""
    trips = episode.trip_steps(agent)
    rows = [
        (player if player != ORACLE else "this time", len(trips), str(len(trips))),
        ("random", float(reference.random[agent]), f"{reference.random[agent]:.1f}"),
        # Where there is a ceiling, the oracle reaches it.
        (ORACLE, float(reference.best[agent]), f"{reference.best[agent]:g}"),
    ]
    lines = ["Episode over", "", f"{'':12}{'finds':>8}{'score':>8}"]
    for label, finds, shown in rows:
        lines.append(f"{label:12}{shown:>8}{format_score(reference.score(finds, agent)):>8}")
    if trips:
        lines += ["", f"first trip: {_steps(trips[0])}"]
    if len(trips) > 1:
        lines[-1] += f"; later trips: {sum(trips[1:]) / (len(trips) - 1):.1f} on average"
    return (*lines, "", *filter(None, [note]), "N: new level   R: restart this level   Esc: quit")


def _steps(count: int) -> str:
    return f"{count} step{'s' * (count != 1)}"


def format_score(value: float | None) -> str:
    """Two decimals, or a dash for None."""
    return "-" if value is None else f"{round(value, 2) + 0:.2f}"  # + 0: no "-0.00"


def status_text(episode: Episode, player: str, playing: bool, speed: int) -> str:
    """One line: what is happening, and the most useful keys."""
    if playing:
        who = "replay" if episode.time < episode.num_steps else f"the {player} is playing"
        return f"{who}, {speed} steps per second; Space: pause, H: help"
    if episode.time < episode.num_steps:
        at = f"step {episode.time} of {episode.num_steps}"
        return f"{at}; Space: resume, comma and period: step, H: help"
    if episode.done:
        return "episode over; N: new level, R: restart this level, H: help"
    if player != YOU:
        return f"the {player} is paused; Space: resume, H: help"
    return "your move; H: help" if episode.num_steps else f"{AIM} H: help"


def policy_lines(
    decision: Decision | None, agent: int
) -> tuple[Lines, tuple[tuple[str, float], ...]]:
    """The lines and bars of the panel for a trained agent's returns and probabilities.

    Of the extras of the decision `value` [A], `return_to_go` [A] and `logits` [A, actions] are
    shown, as far as there are any.
    """
    if decision is None:
        return (), ()
    numbers = {name: getattr(decision.extras, name, None) for name in ("value", "return_to_go")}
    lines = [
        (name.replace("_", " "), f"{number[agent]:.2f}")
        for name, number in numbers.items()
        if number is not None
    ]
    if (logits := getattr(decision.extras, "logits", None)) is None:
        return tuple(lines), ()
    weights = np.exp(logits[agent] - logits[agent].max())
    bars = zip(MOVES, (weights / weights.sum()).tolist(), strict=True)
    return tuple(lines), tuple(bars)
