"""A game in a window: the loop that waits for keys."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from textwrap import wrap

import numpy as np

from gridmem.render.font import ADVANCE, draw_text, text_px
from gridmem.render.frame import frame
from gridmem.render.paint import BACK, TEXT
from gridmem.render.player.frame_state import moment_of
from gridmem.render.player.game import Game
from gridmem.render.player.keys import AIM, KEYS, REPEATED, STARTING
from gridmem.render.player.recorder import Camera
from gridmem.render.window import Window

LINE_PX = 26  # from a line to the next while it is busy
WAKE_MS = 50.0  # between two looks at whether the work is done
LEAST_PX = 160  # of a side of the picture, however small the window is made


def live(game: Game, window: Window, camera: Camera) -> None:
    """Plays until the person quits or closes the window. Between steps and keys it sleeps."""
    due = time.monotonic()
    while game.running and not window.closed:
        width, height = (max(side, LEAST_PX) for side in window.size)
        window.show(frame(moment_of(game), width, height))
        left_ms = 1000 * (due - time.monotonic()) if game.playing else None
        keys = window.wait(left_ms)
        was_playing, happened = game.playing, False
        for command in _commands(keys):
            happened = True
            if command == "screenshot":
                game.say = camera.shoot(moment_of(game), width, height)
            elif command == "record":
                game.say = camera.stop() if camera.recording else camera.start(width, height)
            else:
                game.do(command)
        now = time.monotonic()
        if game.playing and not was_playing:
            due = now + 1 / game.speed
        elif game.playing and now >= due:
            due = max(due + 1 / game.speed, now)
            game.tick()
            happened = True
        if happened:
            camera.film(moment_of(game))


def _commands(keys: list[tuple[str, bool]]) -> list[str]:
    """What the keys ask for; a held one asks once a picture, however late the picture is."""
    commands = []
    for key, repeated in keys:
        command = KEYS.get(key, "")
        if command and not (repeated and (command not in REPEATED or command in commands)):
            commands.append(command)
    return commands


def while_busy[Made](window: Window, work: Callable[[], Made]) -> Made | None:
    """Does some work beside the window, which says so and can be closed.

    Returns:
        what the work made; None if the window was closed meanwhile.
    """
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        while not (future.done() or window.closed):
            width, height = window.size
            picture = np.full((height, width, 3), BACK, np.uint8)
            columns = max(width // (2 * ADVANCE) - 2, 1)
            lines = [*wrap(STARTING, columns), "", *wrap(AIM, columns)]
            row = (height - LINE_PX * len(lines)) // 2
            for line in lines:
                draw_text(picture, line, row, (width - text_px(line, 2)[1]) // 2, TEXT, 2)
                row += LINE_PX
            window.show(picture)
            if "quit" in _commands(window.wait(WAKE_MS)):
                break
        if future.done():
            return future.result()
        window.close()
    return None
