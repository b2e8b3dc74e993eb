"""Command lines: a parser whose errors are sentences, and exit codes."""

import argparse
import difflib
import io
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

TRAINING = "flax", "matplotlib", "optax", "orbax", "rich", "safetensors", "tensorboardX"
"""What training needs."""
HELP_ALL = "--help-all"
"""For a program whose --help does not list all options."""


class Parser(argparse.ArgumentParser):
    """A parser that raises ValueError with one sentence for each mistake."""

    def __init__(
        self,
        program: str,
        description: str,
        epilog: str = "",
        other_names: Mapping[str, str] | None = None,
    ) -> None:
        """Has only the option --help.

        Args:
            program: its name.
            description: of the program.
            epilog: text below the options.
            other_names: name of an option in other programs -> the option to suggest instead.
        """
        super().__init__(
            prog=program,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self._negative_number_matcher = re.compile(r"-\.?\d")  # -1e3 is not an option either
        self._other_names = other_names or {}
        about = "a module with environments, mixers or methods; repeatable"
        self.add_argument("--import", metavar="MODULE", default=argparse.SUPPRESS, help=about)

    def error(self, message: str) -> NoReturn:
        """See the class."""
        raise ValueError(f"{message}; {self._help} lists the options")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Unlike that of argparse, raises if the help cannot be written."""
        print(message, end="", file=file)

    def read(self, argv: Sequence[str], order: str) -> argparse.Namespace:
        """The options of a command line.

        Args:
            argv: the words after the program's name.
            order: the advice in the error message for an unexpected argument.

        Raises:
            ValueError: for an unknown option or an invalid value.
            SystemExit: after --help.
        """
        options, unknown = self.parse_known_args(argv)
        if unknown and not unknown[0].startswith("-"):
            raise ValueError(f"unexpected argument {unknown[0]!r}; {order}")
        if unknown:
            flag = unknown[0].split("=")[0]
            problem = f"there is no option {flag!r}{self._nearest(flag)}"
            raise ValueError(f"{problem}; {self._help} lists them")
        return options

    @property
    def _help(self) -> str:
        """The option that lists all others."""
        return HELP_ALL if HELP_ALL in self._option_string_actions else "--help"

    def _nearest(self, flag: str) -> str:
        """A suggestion of a similar option, or an empty text."""
        name = flag.lstrip("-").replace("_", "-").lower()
        known = [option[2:] for option in self._option_string_actions if option.startswith("--")]
        words = set(name.split("-"))
        close = [self._other_names[name]] if name in self._other_names else []
        close += sorted((each for each in known if words <= set(each.split("-"))), key=len)
        close += difflib.get_close_matches(name, known, 1, 0.7)
        return f" (did you mean '--{close[0]}'?)" if close else ""


def imported(argv: Sequence[str]) -> list[str]:
    """The modules that `--import` names in a command line."""
    return _imports(argv)[0]


def import_modules(argv: Sequence[str]) -> list[str]:
    """Imports the modules that `--import` names; returns the other words of the command line.

    Raises:
        ValueError: if one cannot be imported.
    """
    modules, others = _imports(argv)
    for module in modules:
        try:
            import_module(module)
        except Exception as error:  # whatever its code raises
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ValueError(f"--import {module}: it cannot be imported ({reason})") from None
    return others


def _imports(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """What `--import` names, and the other words."""
    modules, others, words = [], [], iter(argv)
    for word in words:
        flag, is_, module = word.partition("=")
        if flag == "--import":
            modules.append(module if is_ else next(words, ""))
        else:
            others.append(word)
    return modules, others


def integer(text: str) -> int:
    """Parses a whole number, such as 1000000, 1_000_000 or 1e6.

    Raises:
        ValueError: if the text is not a whole number.
    """
    try:
        return int(text)
    except ValueError:
        if not float(text).is_integer():
            raise
        return int(float(text))


def whole(least: int) -> Callable[[str], int]:
    """The type of an option: a whole number, `least` or more."""

    def read(text: str) -> int:
        with suppress(ValueError):
            if (number := integer(text)) >= least:
                return number
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")

    return read


def require(what: str, *libraries: str, extra: str = "train") -> None:
    """Raises ValueError if one of the libraries of an extra of gridmem is missing."""
    missing = [name for name in libraries if find_spec(name) is None]
    if missing:
        raise ValueError(f"{what} needs {missing[0]}; {install(extra)}")


def install(extra: str) -> str:
    """The command that installs an extra, as part of a sentence."""
    return f"install gridmem[{extra}] from a clone of it: uv sync, or pip install '.[{extra}]'"


def python_command() -> str:
    """The user's command for this Python."""
    return "uv run python" if "UV" in os.environ else "python"  # set by uv for its subprocesses


def run(program: Callable[[], int]) -> int:
    """Runs a program and returns its exit code.

    It is 1 for OSError (a full disk and the like), 2 for ValueError (bad input), 130 for Ctrl-C.
    If the reader of the output has ended, as in `| head`, it is 1 and nothing is printed.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # For characters that the terminal cannot show.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            return program()
        finally:
            if sys.stdout is not None:  # it is None after >&-
                sys.stdout.flush()
    except ValueError as error:
        with suppress(OSError):
            print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        drop_unwritten()
        if not isinstance(error, BrokenPipeError):
            print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def drop_unwritten() -> None:
    """Redirects stdout to nothing if it cannot be written: Python would fail on it at its exit."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def cache_programs() -> str:
    """Keeps compiled programs for the next process, unless the user has chosen a cache.

    Returns:
        the folder; empty if the user has no place for one that can be written to.
    """
    import jax

    if chosen := jax.config.jax_compilation_cache_dir:
        return chosen
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = cache / "gridmem" / "jax"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return ""
    if not os.access(folder, os.W_OK):
        return ""
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    return str(folder)
