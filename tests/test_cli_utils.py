"""Command lines: sentences for mistakes, exit codes."""

import io
import os
import re
import subprocess
import sys

import pytest

from gridmem.cli_utils import Parser, require, run, whole


@pytest.fixture
def parser():
    parser = Parser("program", "Does things.", other_names={"amount": "levels"})
    parser.add_argument("--at-most")
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--levels", type=whole(2), default=5)
    return parser


def test_options_are_parsed(parser):
    options = parser.read(["a", "b", "--levels", "7"], "order")
    assert (options.runs, options.levels) == (["a", "b"], 7)
    assert parser.read(["a"], "order").levels == 5
    assert parser.read(["a", "--levels", "1e3"], "order").levels == 1000


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ("", "the following arguments are required: runs; --help lists the options"),
        ("a --level 3", "there is no option '--level' (did you mean '--levels'?); --help lists"),
        ("a --zz=3", "there is no option '--zz'; --help lists them"),
        ("a --levels 3 b", "unexpected argument 'b'; name all of them first"),
        ("a --levels 1", "'1' is not a whole number of at least 2"),
        ("a --levels -3", "'-3' is not a whole number of at least 2; --help lists the options"),
        ("a --levels 2.5", "'2.5' is not a whole number"),
        ("a --levels ²", "'²' is not a whole number"),
        ("a --levels 1e999", "'1e999' is not a whole number"),
        ("a --amount 3", "there is no option '--amount' (did you mean '--levels'?)"),
        ("a --most 3", "there is no option '--most' (did you mean '--at-most'?)"),
    ],
)
def test_mistakes_raise_one_sentence(parser, argv, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as error:
        parser.read(argv.split(), "name all of them first")
    assert "\n" not in str(error.value)


def test_a_missing_library_is_named():
    require("this", "json", "re")
    with pytest.raises(ValueError, match=r"^this needs nosuch; .*pip install '\.\[train\]'$"):
        require("this", "json", "nosuch")


@pytest.mark.parametrize(
    ("problem", "code", "err"),
    [
        (ValueError("bad"), 2, "error: bad\n"),
        (OSError(28, "No space left on device"), 1, "error: [Errno 28] No space left on device\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_exit_codes(problem, code, err, capsys):
    def program():
        raise problem

    assert run(program) == code
    assert capsys.readouterr() == ("", err)
    assert run(lambda: 7) == 7


def test_characters_that_the_terminal_cannot_show_are_escaped(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    assert run(lambda: print("läufe") or 0) == 0
    assert written.getvalue() == b"l\\xe4ufe\n"


PRINTS = "import sys; from gridmem.cli_utils import Parser, run; sys.exit(run(lambda: {}))"
PRINTED = ("print('words') or 0", "Parser('program', 'Words.').read(['--help'], '') and 0")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("printed", PRINTED, ids=["words", "help"])
@pytest.mark.parametrize(
    ("output", "err"), [("/dev/full", "error: [Errno 28] No space left on device\n"), (None, "")]
)
def test_output_that_cannot_be_written_causes_no_traceback(output, err, printed):
    read, write = os.pipe()
    os.close(read)  # nobody reads what goes there
    if output:
        os.close(write)
        write = os.open(output, os.O_WRONLY)
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-c", PRINTS.format(printed)]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, env=variables)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, err)
