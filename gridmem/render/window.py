"""A window on the screen. The only file that uses pygame (pygame-ce or pygame)."""

import os
import sys
import time
from typing import Any, ClassVar
from weakref import WeakSet

import numpy as np
from jaxtyping import UInt8

MAX_SHARE = 0.9  # of the screen: task bars and the frame of the window need the rest
POLL_SECONDS = 0.01  # between two polls for events: too short to be noticed
REPEAT_AFTER_MS, REPEAT_EVERY_MS = 250, 60  # of a key that is held
DISPLAY_VARIABLES = "DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"
INVISIBLE_DRIVERS = "dummy", "offscreen"
ALTERNATIVES = (
    "--video, --gif and --frames of gridmem.render.play and the render_mode 'rgb_array' need none"
)


class Window:
    """Shows pictures and reads keys. The user may resize it.

    A process has one window on the screen, shared by all instances: it shows the latest picture
    of any of them, and closes with the last instance. If something else closes it
    (`pygame.quit()`), it is opened again.

    Attributes:
        closed: whether it has been closed, by the user or by the program.
    """

    _open: ClassVar["WeakSet[Window]"] = WeakSet()

    def __init__(self, title: str, width_px: int, height_px: int) -> None:
        """Opens it, smaller than requested if the screen is too small.

        Raises:
            ValueError: without pygame, or without a display.
        """
        self._pygame = _pygame()
        self._title, self._opening = title, (width_px, height_px)
        self._held: set[int] = set()
        self.closed = False
        try:
            self._open_display()
        except self._pygame.error as error:
            if not Window._open:
                self._pygame.display.quit()
            raise ValueError(
                f"there is no display for a window ({error}); {ALTERNATIVES}"
            ) from None
        Window._open.add(self)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        screen = self._surface()
        return self._opening if screen is None else screen.get_size()

    def show(self, picture: UInt8[np.ndarray, "h w 3"]) -> None:
        """Shows a picture in the middle of the window, scaled down if it does not fit."""
        screen = self._surface()
        if screen is None:
            return
        pygame = self._pygame
        height, width = picture.shape[:2]
        across, down = screen.get_size()
        image = pygame.image.frombuffer(picture.tobytes(), (width, height), "RGB")
        shrink = min(across / width, down / height)
        if shrink < 1:
            width, height = (max(int(side * shrink), 1) for side in (width, height))
            image = pygame.transform.smoothscale(image, (width, height))
        screen.fill((0, 0, 0))
        screen.blit(image, ((across - width) // 2, (down - height) // 2))
        pygame.display.flip()

    def wait(self, limit_ms: float | None = None) -> list[tuple[str, bool]]:
        """Sleeps until the next event: a key, or that the picture must be shown again.

        Args:
            limit_ms: timeout; None for no timeout, 0 to return at once.

        Returns:
            The keys that were pressed: the character that each types, or else its name, in lower
            case; and whether it is a repetition because the key is held.
        """
        end = None if limit_ms is None else time.monotonic() + limit_ms / 1000
        events: list[Any] = []
        while self._surface() is not None and not (events := self._pygame.event.get()):
            remaining = POLL_SECONDS if end is None else end - time.monotonic()
            if remaining <= 0:
                break
            # Not pygame.event.wait: it polls a thousand times a second.
            time.sleep(min(remaining, POLL_SECONDS))
        return [key for event in events if not self.closed for key in self._keys(event)]

    def close(self) -> None:
        """Closes this instance; the window on the screen closes with the last one."""
        self.closed = True
        Window._open.discard(self)
        if not Window._open:
            self._pygame.display.quit()

    def close_all(self) -> None:
        """Closes all instances, because the user closed the window."""
        for window in list(Window._open):
            window.close()

    def _surface(self) -> Any:
        """The pixels of the window; None once it is closed."""
        if self.closed:
            return None
        display = self._pygame.display
        if not display.get_init() or display.get_surface() is None:
            try:
                self._open_display()
            except self._pygame.error:
                self.close()
                return None
        return display.get_surface()

    def _open_display(self) -> None:
        """Opens the window on the screen, unless it is open; raises pygame.error."""
        pygame = self._pygame
        if sys.platform == "linux" and not any(map(os.environ.get, DISPLAY_VARIABLES)):
            raise pygame.error("neither DISPLAY nor WAYLAND_DISPLAY is set")
        pygame.display.init()
        driver = pygame.display.get_driver()
        # Without a display, SDL falls back to an invisible driver.
        if driver in INVISIBLE_DRIVERS and os.environ.get("SDL_VIDEODRIVER") != driver:
            raise pygame.error("no video driver of this machine has a screen")
        pygame.display.set_caption(self._title)
        if pygame.display.get_surface() is None or not Window._open:
            across, down = self._opening
            screen = pygame.display.get_desktop_sizes()[0]
            shrink = min(1, MAX_SHARE * screen[0] / across, MAX_SHARE * screen[1] / down)
            size = max(int(across * shrink), 1), max(int(down * shrink), 1)
            pygame.display.set_mode(size, pygame.RESIZABLE)
        pygame.key.set_repeat(REPEAT_AFTER_MS, REPEAT_EVERY_MS)
        # Others, above all those of the mouse, would only wake it up.
        pygame.event.set_blocked(None)
        wanted = "QUIT", "KEYDOWN", "KEYUP", "VIDEORESIZE", "VIDEOEXPOSE", "WINDOWCLOSE"
        pygame.event.set_allowed([getattr(pygame, name) for name in wanted])

    def _keys(self, event: Any) -> list[tuple[str, bool]]:
        pygame = self._pygame
        if event.type in (pygame.QUIT, pygame.WINDOWCLOSE):
            self.close_all()
        if event.type == pygame.KEYUP:
            self._held.discard(event.key)
        if event.type != pygame.KEYDOWN:
            return []
        repeated = event.key in self._held
        self._held.add(event.key)
        typed = event.unicode if event.unicode.strip().isprintable() else ""
        return [((typed.strip() or pygame.key.name(event.key)).lower(), repeated)]


def _pygame() -> Any:
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        import pygame
    except ModuleNotFoundError:
        from gridmem.cli_utils import install

        raise ValueError(f"a window needs pygame-ce; {install('play')}; {ALTERNATIVES}") from None
    return pygame
