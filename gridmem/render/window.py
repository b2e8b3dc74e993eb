"""A window on the screen. The only file that knows pygame, be it pygame-ce or pygame."""

import os
import sys
import time
from typing import Any, ClassVar
from weakref import WeakSet

import numpy as np
from jaxtyping import UInt8

SHARE = 0.9  # of the screen, at most: its bars and the window's frame need the rest
NAP_SECONDS = 0.01  # between two looks for events: no person notices
REPEAT_AFTER_MS, REPEAT_EVERY_MS = 250, 60  # of a key that is held
NAMES_OF_DISPLAYS = "DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"
INVISIBLE = "dummy", "offscreen"
INSTEAD = (
    "--video, --gif and --frames of gridmem.render.play and the render_mode 'rgb_array' need none"
)


class Window:
    """Shows pictures and hears keys. The person may resize it; it waits without spinning.

    A process has one window on the screen. Several of this class show their pictures there in
    turn; it goes when the last one is closed. If something else closes it (`pygame.quit()`), it
    is opened again.

    Attributes:
        closed: whether it has been closed, by the person or by the program.
    """

    _open: ClassVar["WeakSet[Window]"] = WeakSet()

    def __init__(self, title: str, width_px: int, height_px: int) -> None:
        """Opens it, smaller than asked for where the screen has no room.

        Raises:
            ValueError: without pygame, or without a display to open it on.
        """
        self._pygame = _pygame()
        self._title, self._opening = title, (width_px, height_px)
        self._held: set[int] = set()
        self.closed = False
        try:
            self._begin()
        except self._pygame.error as error:
            if not Window._open:
                self._pygame.display.quit()
            raise ValueError(f"there is no display for a window ({error}); {INSTEAD}") from None
        Window._open.add(self)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        screen = self._screen()
        return self._opening if screen is None else screen.get_size()

    def show(self, picture: UInt8[np.ndarray, "h w 3"]) -> None:
        """Puts a picture into the middle of the window, made smaller where it does not fit."""
        screen = self._screen()
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
        """Waits until something happens: a key, or that the picture must be shown anew.

        Args:
            limit_ms: how long at most; None for as long as it takes, 0 not at all.

        Returns:
            The keys that went down: what each types, or else its name, in small letters; and
            whether it is repeated because it is held.
        """
        end = None if limit_ms is None else time.monotonic() + limit_ms / 1000
        events: list[Any] = []
        while self._screen() is not None and not (events := self._pygame.event.get()):
            left = NAP_SECONDS if end is None else end - time.monotonic()
            if left <= 0:
                break
            # Not by pygame.event.wait: it looks a thousand times a second.
            time.sleep(min(left, NAP_SECONDS))
        return [key for event in events if not self.closed for key in self._keys(event)]

    def close(self) -> None:
        """Closes it, but for others that show their pictures there too."""
        self.closed = True
        Window._open.discard(self)
        if not Window._open:
            self._pygame.display.quit()

    def dismiss(self) -> None:
        """Closes it, and all others that show their pictures there: the person wants it gone."""
        for window in list(Window._open):
            window.close()

    def _screen(self) -> Any:
        """What is shown in the window, as a surface; None once it is closed."""
        if self.closed:
            return None
        display = self._pygame.display
        if not display.get_init() or display.get_surface() is None:
            try:
                self._begin()
            except self._pygame.error:
                self.close()
                return None
        return display.get_surface()

    def _begin(self) -> None:
        """Opens what is on the screen, if it is not there yet; raises pygame.error."""
        pygame = self._pygame
        if sys.platform == "linux" and not any(map(os.environ.get, NAMES_OF_DISPLAYS)):
            raise pygame.error("neither DISPLAY nor WAYLAND_DISPLAY is set")
        pygame.display.init()
        driver = pygame.display.get_driver()
        # Without a display, SDL would take a window that nobody sees for one that works.
        if driver in INVISIBLE and os.environ.get("SDL_VIDEODRIVER") != driver:
            raise pygame.error("no video driver for a screen works here")
        pygame.display.set_caption(self._title)
        if pygame.display.get_surface() is None or not Window._open:
            across, down = self._opening
            screen = pygame.display.get_desktop_sizes()[0]
            shrink = min(1, SHARE * screen[0] / across, SHARE * screen[1] / down)
            size = max(int(across * shrink), 1), max(int(down * shrink), 1)
            pygame.display.set_mode(size, pygame.RESIZABLE)
        pygame.key.set_repeat(REPEAT_AFTER_MS, REPEAT_EVERY_MS)
        # All others, above all those of the mouse, would only wake it up.
        pygame.event.set_blocked(None)
        wanted = "QUIT", "KEYDOWN", "KEYUP", "VIDEORESIZE", "VIDEOEXPOSE", "WINDOWCLOSE"
        pygame.event.set_allowed([getattr(pygame, name) for name in wanted])

    def _keys(self, event: Any) -> list[tuple[str, bool]]:
        pygame = self._pygame
        if event.type in (pygame.QUIT, pygame.WINDOWCLOSE):
            self.dismiss()
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

        raise ValueError(f"a window needs pygame-ce; {install('play')}; {INSTEAD}") from None
    return pygame
