"""The play application without its window: what commands do."""

from collections.abc import Callable

from gridmem.envs.env import Env
from gridmem.render.player.cast import AGENT, ORACLE, YOU, Cast
from gridmem.render.player.episode import Session
from gridmem.render.player.hud import summary
from gridmem.render.player.keys import HELP, MOVES
from gridmem.render.player.level_source import Caves
from gridmem.render.player.scores import Marks, marks

SPEEDS = 1, 2, 4, 8, 16, 32, 64  # steps a second
NO_SCORE = "this episode's score is not noted"
HEATS = {"trip": "where it went on this trip", "memory": "which past steps it attends to"}


class Game:
    """Episodes in one cave after another.

    Attributes:
        session: the episode.
        number: of its level among the caves.
        attempt: 1 for the first episode on this level, 2 for the next, and so on.
        marks: what there is to be had on it.
        focus: the agent that is looked at, and that `lead` moves.
        lead: who that is.
        speed: steps a second of whoever is not a person.
        advised: whether the trained agent tells what it thinks.
        aids: what a person had beyond the view and the keys to move, in words.
        yours: whether a person made any of the moves.
        running: False once the person wants to quit.
        box: lines of a box over the picture, until the next command.
        say: a line for the bottom of the picture, until the next command.
    """

    def __init__(
        self,
        env: Env,
        title: str,
        caves: Caves,
        cast: Cast,
        *,
        whole: bool = False,
        heat: str | None = None,
        speed: int = 8,
        at_end: Callable[["Game"], str] = lambda game: "",
    ) -> None:
        """Begins the first episode.

        Args:
            env: what is played.
            title: its name.
            caves: where.
            cast: by whom.
            whole: show the whole cave.
            heat: what to lay over it: one of `HEATS`.
            speed: steps a second.
            at_end: called at the end of each episode that is played; returns what it has to say.
        """
        self.env, self.title, self.caves, self.cast = env, title, caves, cast
        self.lead, self.focus, self.speed = cast.lead, 0, speed
        self.advised = AGENT in cast.players and (cast.advises or cast.lead == AGENT)
        self.whole, self.heat = whole, heat
        self.running, self.say, self.number, self.attempt = True, "", -1, 0
        self._at_end = at_end
        self._does: dict[str, Callable[[], None]] = {
            "whole": self._turn_whole,
            "heat": self._turn_heat,
            "new": lambda: self.begin(self.number + 1),
            "again": lambda: self.begin(self.number),
            "pause": self._pause,
            "back": lambda: self._look_at(self.session.time - 1),
            "forth": lambda: self._look_at(self.session.time + 1),
            "first": lambda: self._look_at(0),
            "last": lambda: self._look_at(self.session.last),
            "faster": lambda: self._change_speed(1),
            "slower": lambda: self._change_speed(-1),
            "oracle": lambda: self._hand_over(ORACLE),
            "agent": lambda: self._hand_over(AGENT),
            "next": self._next_agent,
            "quit": self._quit,
        }
        self.begin(caves.first)

    def begin(self, number: int) -> None:
        """A new episode on a level."""
        self.watch(Session(self.env, self.caves.level(number)))
        self.attempt = self.attempt + 1 if number == self.number else 1
        self.number, self._ended = number, False
        self._note_aids()

    def watch(self, session: Session) -> None:
        """Shows an episode that was played before; it can be played on."""
        self.session = session
        self.marks: Marks = marks(self.env, session.level)
        self.aids: set[str] = set()
        self.paused, self._ended, self.yours = False, True, False
        self.box: tuple[str, ...] = ()
        self._note = ""

    @property
    def cave(self) -> str:
        """One line that says which level it is."""
        return self.caves.title(self.number)

    @property
    def who(self) -> str:
        """Who plays, or played what is looked at."""
        if self.lead == YOU and self.session.last and not self.yours:
            return "replay"
        return self.lead

    @property
    def playing(self) -> bool:
        """Whether it goes on by itself: `tick` is to be called `speed` times a second."""
        session = self.session
        more = session.time < session.last or (self.lead != YOU and not session.over)
        return self.running and more and not self.paused

    def tick(self) -> None:
        """The next step of what goes on by itself, if anything does."""
        if self.session.time < self.session.last:
            self._show(self.session.time + 1)
        elif self.playing:
            self._act(None)

    def do(self, command: str) -> None:
        """Follows a command; see `keys`. Others do nothing."""
        helping, self.say, self.box = self.box == HELP, "", ()
        if command in MOVES:
            self._move(MOVES.index(command))
        elif command == "help":
            self.box = () if helping else HELP
        elif command in self._does:
            self._does[command]()

    def _move(self, action: int) -> None:
        if self.session.over:
            self._show(self.session.time)
            return
        if self.session.time < self.session.last:
            self.say = f"playing on from step {self.session.time}; what followed is forgotten"
        self.lead, self.paused, self.yours = YOU, False, True
        self._act(action)

    def _act(self, action: int | None) -> None:
        """A step of all agents; None lets the lead choose for the agent in focus."""
        if action is None:
            self.aids.add(f"the {self.lead} played some of it")
        self.session.act(self.cast.actions(self.session, self.focus, self.lead, action))
        self._show(self.session.time)

    def _show(self, time: int) -> None:
        """Looks at a time; at the end of the episode also at what is to be said about it."""
        self.session.go(time)
        if not self.session.over:
            return
        if not self._ended:
            self._ended, self._note = True, self._at_end(self)
        self.box = summary(self.session, self.focus, self.marks, self.who, self._note)

    def _look_at(self, time: int) -> None:
        self.paused = True
        self._show(time)
        if self.session.time < self.session.last:
            self._aid({"earlier steps were looked at"})

    def _turn_whole(self) -> None:
        self.whole = not self.whole
        self._note_aids()

    def _turn_heat(self) -> None:
        choices = [None, *HEATS] if AGENT in self.cast.players else [None, "trip"]
        self.heat = choices[(choices.index(self.heat) + 1) % len(choices)]
        self.say = f"heat: {HEATS[self.heat] if self.heat else 'off'}"
        self._note_aids()

    def _note_aids(self) -> None:
        """To be called whenever more is shown than before."""
        shown = (
            ("the whole cave was shown", self.whole),
            ("a heat map was shown", self.heat),
            ("an agent's advice was shown", self.advised),
        )
        self._aid({aid for aid, is_there in shown if is_there})

    def _aid(self, aids: set[str]) -> None:
        """Notes what helps a person, and says at once what the first of it means for the score."""
        if self._ended or not aids:
            return
        if not self.aids and self.lead == YOU and self.env.num_agents == 1:
            self.say = "; ".join(filter(None, (self.say, f"{NO_SCORE}: {min(aids)}")))
        self.aids |= aids

    def _pause(self) -> None:
        self.paused = not self.paused

    def _change_speed(self, by: int) -> None:
        nearest = min(range(len(SPEEDS)), key=lambda i: abs(SPEEDS[i] - self.speed))
        self.speed = SPEEDS[min(max(nearest + by, 0), len(SPEEDS) - 1)]
        self.say = f"{self.speed} steps a second"

    def _hand_over(self, name: str) -> None:
        if name not in self.cast.players:
            self.say = f"there is no {name}; start with --agent RUN to have one"
            return
        self.lead, self.paused = YOU if self.lead == name else name, False
        if self.lead == name and not self.aids and self.env.num_agents == 1:
            self.say = f"the {name} plays; as soon as it has moved, {NO_SCORE}"
        self.advised |= self.lead == AGENT
        self._note_aids()

    def _next_agent(self) -> None:
        self.focus = (self.focus + 1) % self.env.num_agents
        if self.env.num_agents == 1:
            self.say = "there is one agent; start with --agents 16 for a crowd"

    def _quit(self) -> None:
        self.running = False
