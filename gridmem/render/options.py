"""The command line of the play application."""

import argparse
import re
from collections.abc import Sequence
from typing import NoReturn

from gridmem.envs.registry import CONFIGS, nearest

PROGRAM = "python -m gridmem.render.play"
PLAYERS = "keys", "random", "reactive", "oracle", "agent"
DESCRIPTION = """\
Play GridMem by keyboard, or watch an agent; with a window, or as a video without one.

By default you play in a window, with the arrow keys or WASD; H shows all keys. With --agent
the agent plays, until you take over. With --video, --gif, --frames or --picture there is no
window: the agent plays one episode or, without one, the oracle does, which knows the cave.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}; --help lists the options")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The options that a command line gives.

    Raises:
        ValueError: for an unknown option or a value that cannot be.
    """
    parser = _parser()
    options, unknown = parser.parse_known_args(argv)
    if unknown and not unknown[0].startswith("-"):
        raise ValueError(f"{unknown[0]!r} is too much; there is one id, and options begin with --")
    if unknown:
        flag, known = unknown[0].split("=")[0], re.findall(r"--[a-z-]+", parser.format_help())
        raise ValueError(f"there is no option {flag!r}{nearest(flag, known)}; --help lists them")
    if options.replay:
        for name in ("id", "seed", "levels", "view_size", "max_steps", "agents"):
            if getattr(options, name) is not None:
                raise ValueError(f"a replay has its own environment and level; leave out {name}")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM,
        description=DESCRIPTION,
        epilog=f"The ids are {', '.join(CONFIGS)}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("id", nargs="?", metavar="ID", help="the environment; GridMem-v0")
    where = parser.add_argument_group("where")
    where.add_argument("--seed", type=_count, help="of the levels; drawn anew if not given")
    where.add_argument("--levels", metavar="SPLIT", help="'test': the stored test levels, in order")
    where.add_argument("--level", type=_count, default=0, metavar="N", help="the one to begin with")
    where.add_argument("--view-size", type=_size, metavar="N", help="odd number of cells, or full")
    where.add_argument("--max-steps", type=_count, metavar="N", help="actions in an episode")
    where.add_argument("--replay", metavar="FILE", help="show an episode that was saved")
    who = parser.add_argument_group("who plays")
    who.add_argument(
        "--agent", metavar="RUN", help="a trained agent: a run folder or a released name"
    )
    who.add_argument("--greedy", action="store_true", help="it takes its most probable action")
    who.add_argument("--agents", type=_count, metavar="N", help="so many share the cave; G: next")
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
    made.add_argument("--picture", metavar="FILE.png", help="one picture of all trips, likewise")
    made.add_argument("--steps", type=_positive, metavar="N", help="of the episode in these; all")
    made.add_argument("--save", metavar="FILE.npz", help="the episode, for --replay, at its end")
    made.add_argument("--scores", metavar="FILE", help="where to note what people score")
    return parser


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 0 or more")
    return int(text)


def _positive(text: str) -> int:
    if _count(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 1 or more")
    return int(text)


def _speed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 64")
    return int(text)


def _size(text: str) -> int | str:
    return text if text == "full" else _count(text)


def _sides(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", text)
    if not match or min(sides := tuple(map(int, match.groups()))) < 160:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size like 960x640, from 160x160 up")
    return sides[0], sides[1]
