"""What the command lines of the applications have in common."""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import NoReturn

from gridmem.envs.registry import nearest


class Parser(argparse.ArgumentParser):
    """A parser to which every mistake is a ValueError of one sentence."""

    def __init__(self, program: str, description: str, epilog: str = "") -> None:
        super().__init__(
            prog=program,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """See the class."""
        raise ValueError(f"{message}; --help lists the options")

    def read(self, argv: Sequence[str], order: str) -> argparse.Namespace:
        """The options that a command line gives.

        Args:
            argv: what follows the program's name.
            order: what may be given without an option, and where, for whoever gives more.

        Raises:
            ValueError: for an unknown option or a value that cannot be.
            SystemExit: after --help.
        """
        options, unknown = self.parse_known_args(argv)
        if unknown and not unknown[0].startswith("-"):
            raise ValueError(f"{unknown[0]!r} is too much; {order}")
        if unknown:
            flag, known = unknown[0].split("=")[0], re.findall(r"--[a-z-]+", self.format_help())
            raise ValueError(
                f"there is no option {flag!r}{nearest(flag, known)}; --help lists them"
            )
        return options


def whole(least: int) -> Callable[[str], int]:
    """The type of an option that is a whole number, `least` or more."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, {least} or more")
        return int(text)

    return read


def require(what: str, *libraries: str) -> None:
    """Raises ValueError if one of the libraries of `gridmem[train]` is missing."""
    missing = [name for name in libraries if find_spec(name) is None]
    if missing:
        raise ValueError(f"{what} needs {missing[0]}; install gridmem[train]")


def run(program: Callable[[], int]) -> int:
    """The exit code of a program: its own, 1 if the disk refused, 2 for bad input, 130 on Ctrl-C.

    Args:
        program: raises ValueError for bad input and OSError for a disk that is full, or the like.
    """
    try:
        return program()
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
