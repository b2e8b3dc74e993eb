"""A game in a window: the event loop."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from textwrap import wrap

from gridmem.render.frame import frame
from gridmem.render.paint import ADVANCE, TEXT, background, draw_text, text_px
from gridmem.render.player.game import Game
from gridmem.render.player.keys import AIM, KEYS, REPEATED, STARTING
from gridmem.render.player.pictures import frame_state
from gridmem.render.player.recorder import Recorder
from gridmem.render.window import Window

LINE_PX = 26  # from a line to the next of the starting screen
POLL_MS = 50.0  # between two checks whether the work is done
MIN_PX = 160  # of a side of a frame, however small the window is


def run_game(game: Game, window: Window, recorder: Recorder) -> None:
    """Plays until the user quits or closes the window. Sleeps between steps and keys."""
    due = time.monotonic()
    while game.running and not window.closed:
        width, height = (max(side, MIN_PX) for side in window.size)
        window.show(frame(frame_state(game), width, height))
        timeout_ms = 1000 * (due - time.monotonic()) if game.playing else None
        commands = _commands(window.wait(timeout_ms))
        was_playing, changed = game.playing, bool(commands)
        for command in commands:
            if command == "screenshot":
                game.message = recorder.screenshot(frame_state(game), width, height)
            elif command == "record" and recorder.recording:
                game.message = recorder.stop()
            elif command == "record":
                game.message = recorder.start(width, height)
            else:
                game.execute(command)
        now = time.monotonic()
        if game.playing and not was_playing:
            due = now + 1 / game.speed
        elif game.playing and now >= due:
            due = max(due + 1 / game.speed, now)
            game.tick()
            changed = True
        if changed:
            recorder.add_frame(frame_state(game))


def _commands(keys: list[tuple[str, bool]]) -> list[str]:
    """The commands of the keys; a held key gives at most one per frame, however late that is."""
    commands = []
    for key, repeated in keys:
        command = KEYS.get(key, "")
        if command and not (repeated and (command not in REPEATED or command in commands)):
            commands.append(command)
    return commands


def run_in_background[Result](window: Window, work: Callable[[], Result]) -> Result | None:
    """Calls a function in a thread, while the window shows the starting screen and can be closed.

    Returns:
        the result of the function; None if the window was closed before it was there.
    """
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        while not (future.done() or window.closed):
            width, height = window.size
            picture = background(height, width)
            columns = max(width // (2 * ADVANCE) - 2, 1)
            lines = [*wrap(STARTING, columns), "", *wrap(AIM, columns)]
            for number, line in enumerate(lines):
                row = (height - LINE_PX * len(lines)) // 2 + number * LINE_PX
                draw_text(picture, line, row, (width - text_px(line, 2)[1]) // 2, TEXT, 2)
            window.show(picture)
            if "quit" in _commands(window.wait(POLL_MS)):
                break
        if future.done():
            return future.result()
        window.close()
    return None
