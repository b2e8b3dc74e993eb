"""What the command lines of the applications have in common."""

import argparse
import difflib
import io
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, NoReturn

HELP_ALL = "--help-all"
"""For a program of which --help does not tell everything."""


class Parser(argparse.ArgumentParser):
    """A parser to which every mistake is a ValueError of one sentence."""

    def __init__(
        self,
        program: str,
        description: str,
        epilog: str = "",
        other_names: Mapping[str, str] | None = None,
    ) -> None:
        """Has no options yet but --help.

        Args:
            program: its name.
            description: what it does.
            epilog: what stands below the options.
            other_names: what elsewhere is the name of an option -> the option to suggest instead.
        """
        super().__init__(
            prog=program,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self._negative_number_matcher = re.compile(r"-\.?\d")  # -1e3, too, is no option
        self._other_names = other_names or {}

    def error(self, message: str) -> NoReturn:
        """See the class."""
        raise ValueError(f"{message}; {self._help} lists the options")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Unlike argparse's own, does not ignore that the help cannot be written."""
        print(message, end="", file=file)

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
            flag = unknown[0].split("=")[0]
            raise ValueError(
                f"there is no option {flag!r}{self._nearest(flag)}; {self._help} lists them"
            )
        return options

    @property
    def _help(self) -> str:
        """The option that tells of all the others."""
        return HELP_ALL if HELP_ALL in self._option_string_actions else "--help"

    def _nearest(self, flag: str) -> str:
        """A question that suggests the option that is meant, or nothing."""
        name = flag.lstrip("-").replace("_", "-").lower()
        known = [option[2:] for option in self._option_string_actions if option.startswith("--")]
        words = set(name.split("-"))
        close = [self._other_names[name]] if name in self._other_names else []
        close += sorted((each for each in known if words <= set(each.split("-"))), key=len)
        close += difflib.get_close_matches(name, known, 1, 0.7)
        return f" (did you mean '--{close[0]}'?)" if close else ""


def integer(text: str) -> int:
    """The whole number that a text is, as 1000000, 1_000_000 or 1e6.

    Raises:
        ValueError: if it is none.
    """
    try:
        return int(text)
    except ValueError:
        if not float(text).is_integer():
            raise
        return int(float(text))


def whole(least: int) -> Callable[[str], int]:
    """The type of an option that is a whole number, `least` or more."""

    def read(text: str) -> int:
        try:
            number = integer(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, {least} or more")
        return number

    return read


def require(what: str, *libraries: str) -> None:
    """Raises ValueError if one of the libraries of `gridmem[train]` is missing."""
    missing = [name for name in libraries if find_spec(name) is None]
    if missing:
        raise ValueError(f"{what} needs {missing[0]}; {install('train')}")


def install(extra: str) -> str:
    """How to install the libraries of an extra, as part of a sentence."""
    return f"install gridmem[{extra}] from a clone of it: uv sync, or pip install '.[{extra}]'"


def run(program: Callable[[], int]) -> int:
    """The exit code of a program: its own, 1 if the disk refused, 2 for bad input, 130 on Ctrl-C.

    Where whoever reads the output has gone, as in `| head`, it is 1 and nothing is said.

    Args:
        program: raises ValueError for bad input and OSError for a disk that is full, or the like.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for what the terminal cannot show
    try:
        try:
            return program()
        finally:
            if sys.stdout is not None:  # as after >&-
                sys.stdout.flush()
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        drop_unwritten()
        return 1
    except OSError as error:
        drop_unwritten()
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def drop_unwritten() -> None:
    """What stdout cannot write goes nowhere, or Python would fail on it again at its exit."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
