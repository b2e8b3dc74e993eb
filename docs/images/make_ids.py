"""Makes ids/*.gif: an episode of each id, by its released agent.

Run from the repository's root: uv run python docs/images/make_ids.py
"""

from pathlib import Path

from gridmem.render.play import main as play
from gridmem.render.player.setup import TYPICAL

LEVELS = TYPICAL
STEPS = {
    "GridMem-9x9-v0": 64,
    "GridMem-13x13-v0": 128,
    "GridMem-20x20-v0": 192,
    "GridMem-v0": 256,
    "GridMem-Dig-v0": 256,
    "GridMem-DigLarge-v0": 128,
}


def main() -> None:
    """Writes the pictures, 1.2 MB in all."""
    folder = Path(__file__).parent / "ids"
    folder.mkdir(exist_ok=True)
    for id in LEVELS:
        agent = ["--agent", id, "--greedy"]
        level = ["--levels", "test", "--level", str(LEVELS[id])]
        shown = ["--whole", "--size", "480x300", "--steps", str(STEPS[id]), "--speed", "6"]
        if play([id, *agent, *level, *shown, "--gif", str(folder / f"{id}.gif")]):
            raise SystemExit(f"no picture of {id}")


if __name__ == "__main__":
    main()
