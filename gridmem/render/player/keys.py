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

STARTING = "starting: about 20 seconds the first time, while programs compile; later about 10"
AIM = "Find the hidden goal as often as you can: each find puts you elsewhere in the same cave."
NOTES = (
    *(AIM, ""),
    "arrows  move",
    "Tab     whole cave",
    "T, O    agent, oracle",
    "M       heat",
    "N, R    new level, again",
    "P, V    picture, video",
    "H       all keys",
)
"""The foot of the side panel, where there is room for it."""

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
    "",
    "A score is noted only if you play with",
    "the view alone: not after Tab, M, O, T",
    "or a step back.",
)
"""The overlay, a line each."""
