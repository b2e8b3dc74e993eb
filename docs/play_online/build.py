"""Builds the page: `uv run python docs/play_online/build.py` writes `play.js` and `data/`.

The modules of `src/` become one classic script, and all data classic scripts that assign base64,
because a page that is opened from the file system can neither import modules nor fetch files.
"""

import base64
import json
import re
import struct
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np

import gridmem
from gridmem.envs.assets import asset
from gridmem.envs.registry import CONFIGS
from gridmem.envs.types import Level, Tile
from gridmem.render.player.setup import TYPICAL

FOLDER = Path(__file__).parent
# Ids whose released agent the page has; of the others it has the oracle only.
AGENTS = ["GridMem-9x9-v0", "GridMem-13x13-v0", "GridMem-20x20-v0", "GridMem-Dig-v0"]
NUM_LEVELS = 100  # of each id: the first, and the one on which the agent is typical
NUM_SPAWNS = 64
IMPORT = re.compile(r'^import (\{\s*\w+(?:,\s*\w+)*,?\s*\}) from "\./(\w+)\.js";$', re.MULTILINE)
EXPORT = re.compile(r"^export ((?:async )?(?:function|class|const) (\w+))", re.MULTILINE)


def outputs() -> dict[str, str]:
    """The text of every file that is built, by its path in the folder of the page."""
    files = {"play.js": _script("site", _site()) + _bundle()}
    for id in CONFIGS:
        files[f"data/{id}-levels.js"] = _script(f"{id}-levels", _base64(_packed_levels(id)))
    for name in AGENTS:
        files[f"data/{name}-agent.js"] = _script(f"{name}-agent", _base64(float16_weights(name)))
    return files


def float16_weights(name: str) -> bytes:
    """A released agent in the same format, rounded to float16: half the size."""
    data = asset(f"weights/{name}.safetensors").read_bytes()
    begin = 8 + struct.unpack("<Q", data[:8])[0]
    header, body, end = json.loads(data[8:begin]), b"", 0
    if json.loads(header["__metadata__"]["config"])["model"].get("kv_dtype", "model") != "model":
        raise ValueError(f"{name} rounds keys and values, and the network of the page does not")
    for entry in header.values():
        if "data_offsets" in entry:
            first, last = entry["data_offsets"]
            body += np.frombuffer(data[begin + first : begin + last], "<f4").astype("<f2").tobytes()
            entry |= {"dtype": "F16", "data_offsets": [end, len(body)]}
            end = len(body)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def level_numbers(id: str) -> list[int]:
    """The test levels of an id that the page has."""
    return sorted({*range(NUM_LEVELS), TYPICAL.get(id, 0)})


def rules(id: str) -> dict[str, int]:
    """What the page needs to know of an id to play it."""
    env = gridmem.make(id)
    return {
        "side": env.config.map.height + 2,
        "viewSize": env.view_size,
        "maxSteps": env.max_steps,
        "digSteps": env.config.dig_steps,
        "numSpawns": NUM_SPAWNS,
    }


def _site() -> dict[str, Any]:
    """What the page needs to know of every id, and its pictures."""
    ids = {
        id: {**rules(id), "firstLevel": TYPICAL.get(id, 0), "hasAgent": id in AGENTS}
        for id in CONFIGS
    }
    sprites, font = asset("sprites.png").read_bytes(), (FOLDER / "font.ttf").read_bytes()
    return {"ids": ids, "sprites": _base64(sprites), "font": _base64(font)}


def _packed_levels(id: str) -> bytes:
    """The levels as `src/levels.js` reads them."""
    numbers, levels, env = level_numbers(id), gridmem.levels(id), gridmem.make(id)
    tiles, goals, spawns = (np.asarray(leaf)[numbers] for leaf in levels)
    spawns = spawns[:, :NUM_SPAWNS]
    _check_spawns(Level(tiles, goals, spawns), env.max_steps)
    inside = tiles[:, 1:-1, 1:-1].reshape(len(numbers), -1)
    solid = np.packbits((inside == Tile.WALL) | (inside == Tile.ROCK), axis=1)
    cells = np.concatenate([goals, spawns], axis=1).astype(np.uint8).reshape(len(numbers), -1)
    number = np.array(numbers, "<u2")[:, None].view(np.uint8)
    return np.concatenate([number, solid, cells], axis=1).tobytes()


def _check_spawns(levels: Level, max_steps: int) -> None:
    """Raises if any policy could find a goal as often as there are spawns.

    A trip takes at least as many steps as its ends are apart in rows and columns.
    """
    steps = np.abs(levels.spawns - levels.goals).sum(axis=(1, 2))
    if (steps <= max_steps).any():
        raise ValueError(f"{NUM_SPAWNS} spawns do not last for an episode of {max_steps} steps")


def _bundle() -> str:
    paths = sorted((FOLDER / "src").glob("*.js"))
    return join({path.stem: path.read_text("utf-8") for path in paths})


def join(sources: dict[str, str]) -> str:
    """The modules of these names in one function, each in a function of its own, imports first."""
    imports = {
        name: [found[2] for found in IMPORT.finditer(text)] for name, text in sources.items()
    }
    parts = []
    for name in TopologicalSorter(imports).static_order():
        exported = ", ".join(each[2] for each in EXPORT.finditer(sources[name]))
        body = EXPORT.sub(r"\1", IMPORT.sub(r"const \1 = bundle.\2;", sources[name]))
        parts.append(f"bundle.{name} = (() => {{\n{body}\nreturn {{ {exported} }};\n}})();\n")
    text = "(() => {\nconst bundle = {};\n\n" + "\n".join(parts) + "})();\n"
    if left := re.search(r"^(import|export)\b.*", text, re.MULTILINE):
        raise ValueError(f"the build does not know this form: {left[0]}")
    return text


def _script(name: str, content: Any) -> str:
    """A classic script that leaves something for the page to read."""
    return f'(globalThis.gridmemData ??= {{}})["{name}"] = {json.dumps(content)};\n'


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def main() -> None:
    """Writes the files."""
    (FOLDER / "data").mkdir(exist_ok=True)
    files = outputs()
    for path, text in files.items():
        (FOLDER / path).write_text(text, "utf-8", newline="\n")
        print(f"{len(text) / 1000:8.1f} kB  {path}")


if __name__ == "__main__":
    main()
