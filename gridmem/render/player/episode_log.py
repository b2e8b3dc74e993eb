"""What is saved of episodes: lines of the score file, and a replay."""

import hashlib
import json
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from gridmem.envs.analysis.replay import check_target, save_replay
from gridmem.envs.config import config_to_dict
from gridmem.envs.types import Level
from gridmem.render.player.game import Game

FILE = "scores.jsonl"


class EpisodeLog:
    """Saves the scores of a person, and the replay of the last episode.

    Attributes:
        scores: the score file; None to save no scores.
        replay: the file of the replay; None to save none.
    """

    def __init__(self, scores: Path | None, replay: str | None) -> None:
        """Raises ValueError, before anybody plays, if the replay cannot be written there."""
        self.scores, self.replay = scores, replay
        try:
            if replay:
                check_target(replay)
                TemporaryFile(dir=Path(replay).parent).close()
        except OSError as error:
            raise ValueError(f"cannot write {replay} ({error.strerror})") from None

    def end_episode(self, game: Game) -> str:
        """Saves the score and the replay of an episode that is over; returns a message."""
        messages = [self._save_score(game), self.save_replay(game)]
        return "; ".join(filter(None, messages))

    def save_replay(self, game: Game) -> str:
        """Saves the replay of an episode that has steps; returns a message, maybe empty."""
        episode = game.episode
        if not self.replay or not episode.num_steps:
            return ""
        visits = np.asarray(episode.states[-1].visits)
        title = game.title if game.levels.name == "replay" else f"{game.title}, {game.level_title}"
        try:
            actions = np.stack(episode.actions)
            save_replay(self.replay, game.env, episode.level, actions, visits, title)
        except ValueError as error:
            return str(error)
        return f"saved {self.replay}"

    def _save_score(self, game: Game) -> str:
        """A score of memory is only what a person achieved alone, seeing nothing but the view."""
        if not game.person_moved or game.env.num_agents > 1:
            return ""
        if game.assists:
            return f"score not saved: {min(game.assists)}"
        if not self.scores:
            return "score not saved: no file for it; name one with --scores"
        try:
            with self.scores.open("a") as lines:
                lines.write(json.dumps(_row(game)) + "\n")
        except OSError as error:
            return f"score not saved: cannot write {self.scores} ({error.strerror})"
        return f"score saved in {self.scores}"


def _row(game: Game) -> dict[str, object]:
    episode, reference = game.episode, game.reference
    trips = episode.trip_steps(0)
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "id": game.title,
        "cave": game.level_title,
        "level": level_id(episode.level),
        "attempt": game.attempt,
        "visits": len(trips),
        "trips": trips,
        "random": round(float(reference.random[0]), 4),
        reference.best_name: float(reference.best[0]),
        "score": reference.score(len(trips)),
        "config": config_to_dict(game.env.config),
    }


def level_id(level: Level) -> str:
    """A hash of the content of a level: the same for two episodes on the same level."""
    digest = hashlib.sha256()
    for leaf in level:
        array = np.ascontiguousarray(leaf, np.int32)
        digest.update(str(array.shape).encode() + array.tobytes())
    return digest.hexdigest()[:16]


def score_file(path: str | None) -> Path | None:
    """The file for scores, created if missing: `path`, or one in the user's data folder.

    None if `path` is None and the user has no writable data folder.

    Raises:
        ValueError: if `path` cannot be written.
    """
    try:
        file = Path(path) if path else _data_folder() / "gridmem" / FILE
        if not path:
            file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a"):
            return file
    except RuntimeError:  # there is no home folder
        return None
    except OSError as error:
        if not path:
            return None
        raise ValueError(
            f"cannot write scores to {path} ({error.strerror}); name another file with --scores"
        ) from None


def _data_folder() -> Path:
    """Where this operating system keeps a user's data."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
