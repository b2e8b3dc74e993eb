"""A window on the screen. The only file that knows pygame, be it pygame-ce or pygame."""

import os
import sys
import time
from typing import Any

import numpy as np
from jaxtyping import UInt8

NAP_SECONDS = 0.01  # between two looks for events: no person notices
REPEAT_AFTER_MS, REPEAT_EVERY_MS = 250, 60  # of a key that is held
NAMES_OF_DISPLAYS = "DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"
INVISIBLE = "dummy", "offscreen"
INSTEAD = (
    "--video, --gif and --frames of gridmem.render.play and the render_mode 'rgb_array' need none"
)


class Window:
    """Shows pictures and hears keys. The person may resize it; it waits without spinning.

    Attributes:
        closed: whether the person has closed it.
    """

    def __init__(self, title: str, width_px: int, height_px: int) -> None:
        """Opens it.

        Raises:
            ValueError: without pygame, or without a display to open it on.
        """
        self._pygame = pygame = _pygame()
        self.closed = False
        try:
            if sys.platform == "linux" and not any(map(os.environ.get, NAMES_OF_DISPLAYS)):
                raise pygame.error("neither DISPLAY nor WAYLAND_DISPLAY is set")
            pygame.display.init()
            driver = pygame.display.get_driver()
            # Without a display, SDL would take a window that nobody sees for one that works.
            if driver in INVISIBLE and os.environ.get("SDL_VIDEODRIVER") != driver:
                raise pygame.error("no video driver for a screen works here")
            pygame.display.set_caption(title)
            pygame.display.set_mode((width_px, height_px), pygame.RESIZABLE)
        except pygame.error as error:
            pygame.display.quit()
            raise ValueError(f"there is no display for a window ({error}); {INSTEAD}") from None
        pygame.key.set_repeat(REPEAT_AFTER_MS, REPEAT_EVERY_MS)
        # All others, above all those of the mouse, would only wake it up.
        pygame.event.set_blocked(None)
        wanted = "QUIT", "KEYDOWN", "KEYUP", "VIDEORESIZE", "VIDEOEXPOSE", "WINDOWCLOSE"
        pygame.event.set_allowed([getattr(pygame, name) for name in wanted])
        self._held: set[int] = set()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._pygame.display.get_surface().get_size()

    def show(self, picture: UInt8[np.ndarray, "h w 3"]) -> None:
        """Puts a picture into the middle of the window; what does not fit is cut off."""
        pygame = self._pygame
        height, width = picture.shape[:2]
        screen = pygame.display.get_surface()
        image = pygame.image.frombuffer(picture.tobytes(), (width, height), "RGB")
        screen.fill((0, 0, 0))
        screen.blit(image, ((screen.get_width() - width) // 2, (screen.get_height() - height) // 2))
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
        while not (events := self._pygame.event.get()):
            left = NAP_SECONDS if end is None else end - time.monotonic()
            if left <= 0:
                break
            # Not by pygame.event.wait: it looks a thousand times a second.
            time.sleep(min(left, NAP_SECONDS))
        return [key for event in events for key in self._keys(event)]

    def close(self) -> None:
        """Closes it."""
        self.closed = True
        self._pygame.display.quit()

    def _keys(self, event: Any) -> list[tuple[str, bool]]:
        pygame = self._pygame
        if event.type in (pygame.QUIT, pygame.WINDOWCLOSE):
            self.closed = True
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
        raise ValueError(f"a window needs pygame-ce; install gridmem[play]; {INSTEAD}") from None
    return pygame
