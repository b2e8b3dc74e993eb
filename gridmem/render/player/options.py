"""The command line of the play application."""

import argparse
import re
from collections.abc import Sequence

from gridmem.cli_utils import Parser, whole
from gridmem.envs.registry import CONFIGS
from gridmem.render.player.keys import AIM

PLAYERS = "keys", "random", "reactive", "oracle", "agent"
DESCRIPTION = f"""\
Play GridMem by keyboard, or watch an agent; with a window, or as a video without one.

{AIM}

By default you play in a window, with the arrow keys or WASD; H shows all keys. The default ID
is GridMem-13x13-v0, whose released agent plays when you press T. With --agent the agent plays
on its stored test levels, until you take over. With --video, --gif, --frames or --picture
there is no window: the agent plays one episode or, without --agent, the oracle does, which
knows the whole cave.
"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parses a command line.

    Raises:
        ValueError: for an unknown option or an invalid value.
    """
    options = _parser().read(argv, "there is one id, and options begin with --")
    if options.replay:
        for name in ("id", "seed", "levels", "view_size", "max_steps", "agents"):
            if getattr(options, name) is not None:
                raise ValueError(f"a replay has its own environment and level; leave out {name}")
    return options


def _parser() -> Parser:
    epilog = f"The ids are {', '.join(CONFIGS)}."
    parser = Parser("python -m gridmem.render.play", DESCRIPTION, epilog)
    add = parser.add_argument
    add("id", nargs="?", metavar="ID", help="the environment; default: GridMem-13x13-v0")
    add = parser.add_argument_group("environment").add_argument
    add("--seed", type=whole(0), help="of the levels; default: random")
    add("--levels", metavar="WHICH", help="'test', the stored ones, or FILE.npz")
    add("--level", type=whole(0), metavar="N", help="the level to start with; default: 0")
    add("--view-size", type=_size, metavar="N", help="odd number of cells, or full")
    add("--max-steps", type=whole(0), metavar="N", help="steps of an episode")
    add("--replay", metavar="FILE", help="show a saved episode")
    add = parser.add_argument_group("players").add_argument
    add("--agent", metavar="RUN", help="a trained agent: a run folder or a released name")
    add("--greedy", action="store_true", help="the agent takes its most probable action")
    add("--agents", type=whole(0), metavar="N", help="number of agents in the cave; G: next")
    add("--player", choices=PLAYERS, help="who moves the agent in focus at first")
    crowd = "who moves the others; default: agent if there is one, else reactive"
    add("--crowd", choices=PLAYERS[1:], help=crowd)
    add = parser.add_argument_group("display").add_argument
    add("--whole", action="store_true", help="show the whole cave at first; Tab")
    add("--heat", choices=("trip", "memory"), help="path of the trip, or attention; M")
    add("--speed", type=_speed, default=8, metavar="N", help="steps per second; default: 8")
    add("--size", type=_sides, default=(1200, 720), metavar="WxH", help="default: 1200x720")
    add = parser.add_argument_group("output").add_argument
    add("--video", metavar="FILE.mp4", help="write a video; no window")
    add("--gif", metavar="FILE.gif", help="write a GIF; no window")
    add("--frames", metavar="FOLDER", help="write a folder of PNG pictures; no window")
    picture = "write one picture of all trips; no window; see --heat"
    add("--picture", metavar="FILE.png", help=picture)
    add("--steps", type=whole(1), metavar="N", help="limit the steps in these files")
    add("--save", metavar="FILE.npz", help="save the episode for --replay")
    add("--scores", metavar="FILE", help="the file to which your scores are added")
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
