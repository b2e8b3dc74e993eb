"""The command line of the play application."""

import argparse
import re
from collections.abc import Sequence

from gridmem.cli_utils import Parser, whole
from gridmem.envs.registry import CONFIGS
from gridmem.render.player.keys import AIM

PROGRAM = "python -m gridmem.render.play"
PLAYERS = "keys", "random", "reactive", "oracle", "agent"
DESCRIPTION = f"""\
Play GridMem by keyboard, or watch an agent; with a window, or as a video without one.

{AIM}

By default you play in a window, with the arrow keys or WASD; H shows all keys. Without an ID
it is GridMem-13x13-v0, and its released agent plays when you press T. With --agent the agent
plays on its stored test levels, until you take over. With --video, --gif, --frames or
--picture there is no window: the agent plays one episode or, without one, the oracle does,
which knows the cave.
"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The options that a command line gives.

    Raises:
        ValueError: for an unknown option or a value that cannot be.
    """
    options = _parser().read(argv, "there is one id, and options begin with --")
    if options.replay:
        for name in ("id", "seed", "levels", "view_size", "max_steps", "agents"):
            if getattr(options, name) is not None:
                raise ValueError(f"a replay has its own environment and level; leave out {name}")
    return options


def _parser() -> Parser:
    parser = Parser(PROGRAM, DESCRIPTION, f"The ids are {', '.join(CONFIGS)}.")
    parser.add_argument("id", nargs="?", metavar="ID", help="the environment; GridMem-13x13-v0")
    where = parser.add_argument_group("where")
    where.add_argument("--seed", type=whole(0), help="of the levels; drawn anew without")
    where.add_argument("--levels", metavar="WHICH", help="'test', the stored ones, or a FILE.npz")
    where.add_argument("--level", type=whole(0), metavar="N", help="the one to begin with; 0")
    where.add_argument("--view-size", type=_size, metavar="N", help="odd number of cells, or full")
    where.add_argument("--max-steps", type=whole(0), metavar="N", help="actions in an episode")
    where.add_argument("--replay", metavar="FILE", help="show an episode that was saved")
    who = parser.add_argument_group("who plays")
    who.add_argument(
        "--agent", metavar="RUN", help="a trained agent: a run folder or a released name"
    )
    who.add_argument("--greedy", action="store_true", help="it takes its most probable action")
    who.add_argument("--agents", type=whole(0), metavar="N", help="so many share the cave; G: next")
    who.add_argument("--player", choices=PLAYERS, help="who moves the one in focus at first")
    who.add_argument("--crowd", choices=PLAYERS[1:], help="who moves the others; agent or reactive")
    shown = parser.add_argument_group("what is shown")
    shown.add_argument("--whole", action="store_true", help="the whole cave at first; Tab")
    shown.add_argument("--heat", choices=("trip", "memory"), help="where it went, or attends; M")
    shown.add_argument("--speed", type=_speed, default=8, metavar="N", help="steps a second; 8")
    shown.add_argument("--size", type=_sides, default=(1200, 720), metavar="WxH", help="1200x720")
    made = parser.add_argument_group("what is made")
    made.add_argument("--video", metavar="FILE.mp4", help="a video, without a window")
    made.add_argument("--gif", metavar="FILE.gif", help="likewise")
    made.add_argument("--frames", metavar="FOLDER", help="a folder of PNG pictures, likewise")
    made.add_argument(
        "--picture", metavar="FILE.png", help="one picture of all trips, likewise; see --heat"
    )
    made.add_argument("--steps", type=whole(1), metavar="N", help="of the episode in these; all")
    made.add_argument("--save", metavar="FILE.npz", help="the episode, for --replay, at its end")
    made.add_argument("--scores", metavar="FILE", help="where to note what people score")
    return parser


def _speed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 64")
    return int(text)


def _size(text: str) -> int | str:
    return text if text == "full" else whole(0)(text)


def _sides(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", text)
    if not match or min(sides := tuple(map(int, match.groups()))) < 160:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size like 960x640, from 160x160 up")
    return sides[0], sides[1]
