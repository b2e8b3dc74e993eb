"""The play application without its window: a game, and what its commands do."""

from collections.abc import Callable

from gridmem.envs.env import Env
from gridmem.render.player.controllers import AGENT, ORACLE, YOU, Controllers
from gridmem.render.player.episode import Episode
from gridmem.render.player.hud import summary_lines
from gridmem.render.player.keys import HELP, MOVES
from gridmem.render.player.level_source import LevelSource
from gridmem.render.player.reference_returns import reference_returns

SPEEDS = 1, 2, 4, 8, 16, 32, 64  # steps per second
NO_SCORE = "your score of this episode will not be saved"
HEATS = {"trip": "where it went on this trip", "memory": "which past steps it attends to"}


class Game:
    """Episodes on one level after another.

    Attributes:
        episode: the current episode.
        level_number: its level in the level source.
        attempt: 1 for the first episode on this level, 2 for the next, and so on.
        reference: the reference returns of the level.
        focus: the agent that is shown, and that `player` moves.
        player: `YOU` or the name of a controller.
        speed: steps per second of a controller or a replay.
        shows_advice: whether the outputs of the trained agent are shown.
        assists: what helped a person beside the view, in words.
        person_moved: whether a person made any of the moves.
        running: False once the person wants to quit.
        overlay: lines of a box over the picture, until the next command.
        message: a line at the bottom of the picture, until the next command.
    """

    def __init__(
        self,
        env: Env,
        title: str,
        levels: LevelSource,
        controllers: Controllers,
        *,
        whole: bool = False,
        heat: str | None = None,
        speed: int = 8,
        on_end: Callable[["Game"], str] = lambda game: "",
    ) -> None:
        """Starts the first episode.

        Args:
            env: the environment.
            title: its name.
            levels: where its levels are from.
            controllers: who can play.
            whole: show the whole cave.
            heat: a heatmap over the cave: one of `HEATS`, or None.
            speed: steps per second.
            on_end: called at the end of each episode; returns a line for its summary.
        """
        self.env, self.title, self.levels, self.controllers = env, title, levels, controllers
        self.player, self.focus, self.speed = controllers.player, 0, speed
        self.shows_advice = AGENT in controllers.by_name and (
            controllers.shows_advice or self.player == AGENT
        )
        self.whole, self.heat = whole, heat
        self.running, self.message, self.level_number, self.attempt = True, "", -1, 0
        self._on_end = on_end
        self._commands: dict[str, Callable[[], None]] = {
            "whole": self._toggle_whole,
            "heat": self._next_heat,
            "new": lambda: self.start_episode(self.level_number + 1),
            "restart": lambda: self.start_episode(self.level_number),
            "pause": self._toggle_pause,
            "back": lambda: self._seek(self.episode.time - 1),
            "forward": lambda: self._seek(self.episode.time + 1),
            "first": lambda: self._seek(0),
            "last": lambda: self._seek(self.episode.num_steps),
            "faster": lambda: self._change_speed(1),
            "slower": lambda: self._change_speed(-1),
            "oracle": lambda: self._hand_over(ORACLE),
            "agent": lambda: self._hand_over(AGENT),
            "next": self._next_agent,
            "quit": self._quit,
        }
        self.start_episode(levels.first)

    def start_episode(self, level_number: int) -> None:
        """Starts a new episode on a level."""
        self.show_episode(Episode(self.env, self.levels.level(level_number)))
        self.attempt = self.attempt + 1 if level_number == self.level_number else 1
        self.level_number, self._ended = level_number, False
        self._note_shown_assists()

    def show_episode(self, episode: Episode) -> None:
        """Shows an episode that was played before; it can be continued."""
        self.episode = episode
        self.reference = reference_returns(self.env, episode.level)
        self.assists: set[str] = set()
        self.paused, self._ended, self.person_moved = False, True, False
        self.overlay: tuple[str, ...] = ()
        self._end_note = ""

    @property
    def level_title(self) -> str:
        """One line that identifies the level."""
        return self.levels.title(self.level_number)

    @property
    def player_label(self) -> str:
        """Who plays, or played the episode that is shown."""
        if self.player == YOU and self.episode.num_steps and not self.person_moved:
            return "replay"
        return self.player

    @property
    def playing(self) -> bool:
        """Whether it advances by itself: `tick` is to be called `speed` times a second."""
        episode = self.episode
        has_next = episode.time < episode.num_steps or (self.player != YOU and not episode.done)
        return self.running and has_next and not self.paused

    def tick(self) -> None:
        """The next step of a controller or a replay, if one is playing."""
        if self.episode.time < self.episode.num_steps:
            self._show(self.episode.time + 1)
        elif self.playing:
            self._step(None)

    def execute(self, command: str) -> None:
        """Executes a command, see `keys`; unknown ones do nothing."""
        was_helping, self.message, self.overlay = self.overlay == HELP, "", ()
        if command in MOVES:
            self._move(MOVES.index(command))
        elif command == "help":
            self.overlay = () if was_helping else HELP
        elif command in self._commands:
            self._commands[command]()

    def _move(self, action: int) -> None:
        if self.episode.done:
            self._show(self.episode.time)
            return
        if self.episode.time < self.episode.num_steps:
            self.message = f"continuing from step {self.episode.time}; later steps are discarded"
        self.player, self.paused, self.person_moved = YOU, False, True
        self._step(action)

    def _step(self, action: int | None) -> None:
        """A step of all agents; None lets the controller choose for the agent in focus."""
        if action is None:
            self.assists.add(f"the {self.player} played part of it")
        actions = self.controllers.actions(self.episode, self.focus, self.player, action)
        self.episode.step(actions)
        self._show(self.episode.time)

    def _show(self, time: int) -> None:
        """Views a time; at the end of the episode also its summary."""
        self.episode.seek(time)
        if not self.episode.done:
            return
        if not self._ended:
            self._ended, self._end_note = True, self._on_end(self)
        self.overlay = summary_lines(
            self.episode, self.focus, self.reference, self.player_label, self._end_note
        )

    def _seek(self, time: int) -> None:
        self.paused = True
        self._show(time)
        if self.episode.time < self.episode.num_steps:
            self._note_assists({"earlier steps were viewed"})

    def _toggle_whole(self) -> None:
        self.whole = not self.whole
        self._note_shown_assists()

    def _next_heat(self) -> None:
        choices = [None, *HEATS] if AGENT in self.controllers.by_name else [None, "trip"]
        self.heat = choices[(choices.index(self.heat) + 1) % len(choices)]
        self.message = f"heatmap: {HEATS[self.heat] if self.heat else 'off'}"
        self._note_shown_assists()

    def _note_shown_assists(self) -> None:
        """To be called whenever more is shown than before."""
        shown = (
            ("the whole cave was shown", self.whole),
            ("a heatmap was shown", self.heat),
            ("an agent's advice was shown", self.shows_advice),
        )
        self._note_assists({assist for assist, is_shown in shown if is_shown})

    def _note_assists(self, assists: set[str]) -> None:
        """Adds to `assists`; at the first one, a message says that the score will not be saved."""
        if self._ended or not assists:
            return
        if not self.assists and self.player == YOU and self.env.num_agents == 1:
            self.message = "; ".join(filter(None, (self.message, f"{NO_SCORE}: {min(assists)}")))
        self.assists |= assists

    def _toggle_pause(self) -> None:
        self.paused = not self.paused

    def _change_speed(self, by: int) -> None:
        nearest = min(range(len(SPEEDS)), key=lambda i: abs(SPEEDS[i] - self.speed))
        self.speed = SPEEDS[min(max(nearest + by, 0), len(SPEEDS) - 1)]
        self.message = f"{self.speed} steps per second"

    def _hand_over(self, name: str) -> None:
        if name not in self.controllers.by_name:
            self.message = f"there is no {name}; start with --agent RUN to have one"
            return
        self.player, self.paused = YOU if self.player == name else name, False
        if self.player == name and not self.assists and self.env.num_agents == 1:
            self.message = f"the {name} is playing; once it has moved, {NO_SCORE}"
        self.shows_advice |= self.player == AGENT
        self._note_shown_assists()

    def _next_agent(self) -> None:
        self.focus = (self.focus + 1) % self.env.num_agents
        if self.env.num_agents == 1:
            self.message = "there is one agent; start with --agents 16 for more"

    def _quit(self) -> None:
        self.running = False
