"""What is kept of an episode: a line in the score file, and a replay."""

from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from gridmem.envs.analysis.replay import save_replay
from gridmem.envs.config import config_to_dict
from gridmem.render.player.game import Game
from gridmem.render.player.scores import add_score, level_id


class Records:
    """Keeps what is worth it.

    Attributes:
        scores: the score file; None to note no score.
        replay: where to save the last episode; None to save none.
    """

    def __init__(self, scores: Path | None, replay: str | None) -> None:
        """Raises ValueError if a replay could not be saved there: before anybody has played."""
        self.scores, self.replay = scores, replay
        try:
            if replay:
                with TemporaryFile(dir=Path(replay).parent):
                    pass
        except OSError as error:
            raise ValueError(f"cannot write {replay} ({error.strerror})") from None

    def at_end(self, game: Game) -> str:
        """Notes the score and saves the replay of an episode that is over; says what it did."""
        said = [self._note_score(game), self.save(game)]
        return "; ".join(filter(None, said))

    def save(self, game: Game) -> str:
        """Saves the replay of an episode, over or not, if it has begun."""
        session = game.session
        if not self.replay or not session.last:
            return ""
        visits = np.asarray(session.states[-1].visits)
        title = game.title if game.caves.name == "replay" else f"{game.title}, {game.cave}"
        try:
            actions = np.stack(session.actions)
            save_replay(self.replay, game.env, session.level, actions, visits, title)
        except ValueError as error:
            return str(error)
        return f"saved {self.replay}"

    def _note_score(self, game: Game) -> str:
        """Only what a person did alone, with nothing but the view, is a score of memory."""
        if not game.yours or game.env.num_agents > 1:
            return ""
        if game.aids:
            return f"score not noted: {min(game.aids)}"
        if not self.scores:
            return "score not noted: no place for it; name a file with --scores"
        try:
            add_score(self.scores, _row(game))
        except OSError as error:
            return f"score not noted: cannot write {self.scores} ({error.strerror})"
        return f"score noted in {self.scores}"


def _row(game: Game) -> dict[str, object]:
    session, marks = game.session, game.marks
    trips = session.trips(0)
    return {
        "id": game.title,
        "cave": game.cave,
        "level": level_id(session.level),
        "attempt": game.attempt,
        "visits": len(trips),
        "trips": trips,
        "random": round(float(marks.random[0]), 4),
        marks.best_is: float(marks.best[0]),
        "score": marks.score(len(trips)),
        "config": config_to_dict(game.env.config),
    }
