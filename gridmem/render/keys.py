"""What the keys do: from the names of keys to commands of a `Game`. Knows no window."""

KEYS = {
    **{"up": "up", "right": "right", "down": "down", "left": "left"},
    **{"w": "up", "d": "right", "s": "down", "a": "left"},
    "tab": "whole",
    "m": "heat",
    "n": "new",
    "r": "again",
    "space": "pause",
    **{",": "back", ".": "forth", "page up": "back", "page down": "forth"},
    **{"home": "first", "end": "last"},
    **{"+": "faster", "=": "faster", "-": "slower"},
    "o": "oracle",
    "t": "agent",
    "g": "next",
    "p": "screenshot",
    "v": "record",
    **{"h": "help", "?": "help", "f1": "help"},
    **{"q": "quit", "escape": "quit"},
}
"""The name of a key, or what it types, -> the command."""

MOVES = ("up", "right", "down", "left")  # in the order of `Action`
REPEATED = {*MOVES, "back", "forth"}  # again and again while the key is held

HELP = (
    "Keys",
    "",
    "arrows, WASD    move",
    "Tab             the whole cave, or what the agent sees",
    "M               where it went, or what it remembers",
    "N   R           new level; this level again",
    ", .   Home End  a step back, forth; first, last",
    "Space           pause, go on",
    "+ -             faster, slower",
    "O               the oracle plays; you again",
    "T               the trained agent plays; you again",
    "G               next agent",
    "P   V           picture; record a video, stop",
    "H               this help",
    "Esc, Q          quit",
)
"""The overlay, a line each."""
