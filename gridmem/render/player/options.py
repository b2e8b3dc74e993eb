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
    parser = Parser(PROGRAM, DESCRIPTION, f"The ids are {', '.join(CONFIGS)}.")
    parser.add_argument(
        "id", nargs="?", metavar="ID", help="the environment; default: GridMem-13x13-v0"
    )
    env = parser.add_argument_group("environment")
    env.add_argument("--seed", type=whole(0), help="of the levels; default: random")
    env.add_argument("--levels", metavar="WHICH", help="'test', the stored ones, or FILE.npz")
    env.add_argument(
        "--level", type=whole(0), metavar="N", help="the level to start with; default: 0"
    )
    env.add_argument("--view-size", type=_size, metavar="N", help="odd number of cells, or full")
    env.add_argument("--max-steps", type=whole(0), metavar="N", help="steps of an episode")
    env.add_argument("--replay", metavar="FILE", help="show a saved episode")
    players = parser.add_argument_group("players")
    players.add_argument(
        "--agent", metavar="RUN", help="a trained agent: a run folder or a released name"
    )
    players.add_argument(
        "--greedy", action="store_true", help="the agent takes its most probable action"
    )
    players.add_argument(
        "--agents", type=whole(0), metavar="N", help="number of agents in the cave; G: next"
    )
    players.add_argument("--player", choices=PLAYERS, help="who moves the agent in focus at first")
    players.add_argument(
        "--crowd",
        choices=PLAYERS[1:],
        help="who moves the others; default: agent if there is one, else reactive",
    )
    display = parser.add_argument_group("display")
    display.add_argument("--whole", action="store_true", help="show the whole cave at first; Tab")
    display.add_argument(
        "--heat", choices=("trip", "memory"), help="path of the trip, or attention; M"
    )
    display.add_argument(
        "--speed", type=_speed, default=8, metavar="N", help="steps per second; default: 8"
    )
    display.add_argument(
        "--size", type=_sides, default=(1200, 720), metavar="WxH", help="default: 1200x720"
    )
    output = parser.add_argument_group("output")
    output.add_argument("--video", metavar="FILE.mp4", help="write a video; no window")
    output.add_argument("--gif", metavar="FILE.gif", help="write a GIF; no window")
    output.add_argument(
        "--frames", metavar="FOLDER", help="write a folder of PNG pictures; no window"
    )
    output.add_argument(
        "--picture",
        metavar="FILE.png",
        help="write one picture of all trips; no window; see --heat",
    )
    output.add_argument(
        "--steps", type=whole(1), metavar="N", help="limit the steps in these files"
    )
    output.add_argument("--save", metavar="FILE.npz", help="save the episode for --replay")
    output.add_argument("--scores", metavar="FILE", help="the file to which your scores are added")
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
