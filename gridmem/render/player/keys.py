"""The keys: from their names to commands of a `Game`; and the texts that explain them."""

KEYS = {
    **{"up": "up", "right": "right", "down": "down", "left": "left"},
    **{"w": "up", "d": "right", "s": "down", "a": "left"},
    "tab": "whole",
    "m": "heat",
    "n": "new",
    "r": "restart",
    "space": "pause",
    **{",": "back", ".": "forward", "page up": "back", "page down": "forward"},
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
"""The name of a key, or the character it types -> the command."""

MOVES = ("up", "right", "down", "left")  # in the order of `Action`
REPEATED = {*MOVES, "back", "forward"}  # as long as the key is held

STARTING = "starting: about 20 seconds the first time, while programs compile; later about 10"
AIM = "Find the hidden goal as often as you can: each find puts you elsewhere in the same cave."
NOTES = (
    *(AIM, ""),
    "arrows  move",
    "Tab     whole cave",
    "T, O    agent, oracle",
    "M       heatmap",
    "N, R    new level, restart",
    "P, V    picture, video",
    "H       all keys",
)
"""The foot of the side panel, if there is room for it."""

HELP = (
    "Keys",
    "",
    "arrows, WASD    move",
    "Tab             show the whole cave, or only the view",
    "M               heatmap: this trip, memory, off",
    "N   R           new level; restart this level",
    ", .   Home End  step back, forward; to the start, the end",
    "Space           pause, resume",
    "+ -             faster, slower",
    "O               let the oracle play; again: play yourself",
    "T               let the trained agent play; again: play yourself",
    "G               next agent",
    "P   V           save a picture; start, stop a video",
    "H               this help",
    "Esc, Q          quit",
    "",
    "Your score is saved if you play alone and see only the view:",
    "without Tab, M, O, T or stepping back.",
)
"""The help box, a line each."""
