"""Builds the page: `uv run python docs/play_online/build.py` writes `play.js` and `data/`.

The modules of `src/` become one classic script, and all data classic scripts that assign text in
base 85, because a page that is opened from the file system can neither import modules nor fetch
files.
"""

import base64
import json
import re
import struct
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load

import gridmem
from gridmem.envs.assets import asset
from gridmem.envs.registry import CONFIGS
from gridmem.envs.types import Level, Tile
from gridmem.render.player.setup import TYPICAL

FOLDER = Path(__file__).parent
# Ids whose released agent the page has; of the others it has the oracle only.
AGENTS = [
    "GridMem-9x9-v0",
    "GridMem-13x13-v0",
    "GridMem-20x20-v0",
    "GridMem-v0",
    "GridMem-Dig-v0",
]
NUM_LEVELS = 100  # of each id: the first
MORE_LEVELS = {"GridMem-13x13-v0": [345]}  # for links to it
SMALLEST_MATRIX = 1024  # numbers; smaller tensors stay float16
SCALE = "/scale"
NEXT_VIEW = "next_view"
# On lines of its own.
COMMENT = re.compile(r"^ *(?:/\*\*(?:(?!\*/).)*\*/|//[^\n]*)\n", re.MULTILINE | re.DOTALL)
IMPORT = re.compile(r'^import (\{\s*\w+(?:,\s*\w+)*,?\s*\}) from "\./(\w+)\.js";$', re.MULTILINE)
EXPORT = re.compile(r"^export ((?:async )?(?:function|class|const) (\w+))", re.MULTILINE)


def outputs() -> dict[str, str]:
    """The text of every file that is built, by its path in the folder of the page."""
    files = {"play.js": _script("site", _site()) + _bundle()}
    for id in CONFIGS:
        files[f"data/{id}-levels.js"] = _script(f"{id}-levels", _base85(_packed_levels(id)))
    for name in AGENTS:
        files[f"data/{name}-agent.js"] = _script(f"{name}-agent", _base85(small_weights(name)))
    return files


def small_weights(name: str) -> bytes:
    """A released agent in the same format, about a quarter of its size.

    Matrices are int8, each with a float16 scale per column, in a tensor of its own; all else is
    float16. The head that only training uses is left out.
    """
    file = asset(f"weights/{name}.safetensors").read_bytes()
    length = struct.unpack("<Q", file[:8])[0]
    metadata = json.loads(file[8 : 8 + length])["__metadata__"]
    if json.loads(metadata["config"])["model"].get("kv_dtype", "model") != "model":
        raise ValueError(f"{name} rounds keys and values, and the network of the page does not")
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    body = b""
    tensors = {k: v for k, v in load(file).items() if not k.startswith(f"{NEXT_VIEW}.")}
    for key, value in small_tensors(tensors).items():
        begin, body = len(body), body + value.astype(value.dtype.newbyteorder("<")).tobytes()
        dtype = "I8" if value.dtype == np.int8 else "F16"
        offsets = [begin, len(body)]
        header[key] = {"dtype": dtype, "shape": value.shape, "data_offsets": offsets}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def small_tensors(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors of an agent as `small_weights` stores them."""
    small: dict[str, np.ndarray] = {}
    for key, value in sorted(tensors.items()):
        if value.ndim == 2 and value.size >= SMALLEST_MATRIX:
            small[f"{key}{SCALE}"], small[key] = quantized(value)
        else:
            small[key] = value.astype(np.float16)
    return small


def quantized(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scales float16[columns] and codes int8[rows, columns]; their product is about `matrix`."""
    scale = (np.abs(matrix).max(axis=0) / 127).astype(np.float16)
    scale = np.where(scale > 0, scale, np.float16(1))
    codes = np.rint(matrix / scale.astype(np.float32)).clip(-127, 127)
    return scale, codes.astype(np.int8)


def level_numbers(id: str) -> list[int]:
    """The test levels of an id that the page has."""
    return [*range(NUM_LEVELS), *MORE_LEVELS.get(id, [])]


def page_levels(id: str) -> Level:
    """Those levels, leaves [N, ...]."""
    return Level(*(np.asarray(leaf)[level_numbers(id)] for leaf in gridmem.levels(id)))


def rules(id: str) -> dict[str, int]:
    """What the page needs to know of an id to play it."""
    env = gridmem.make(id)
    return {
        "side": env.config.map.height + 2,
        "viewSize": env.view_size,
        "maxSteps": env.max_steps,
        "digSteps": env.config.dig_steps,
        "numSpawns": enough_spawns(page_levels(id), env.max_steps),
    }


def _site() -> dict[str, Any]:
    """What the page needs to know of every id, and its pictures."""
    ids = {id: {**rules(id), "firstLevel": TYPICAL[id], "hasAgent": id in AGENTS} for id in CONFIGS}
    sprites, font = asset("sprites.png").read_bytes(), (FOLDER / "font.ttf").read_bytes()
    return {"ids": ids, "sprites": _base85(sprites), "font": _base85(font)}


def _packed_levels(id: str) -> bytes:
    """The levels as `src/levels.js` reads them."""
    numbers = level_numbers(id)
    tiles, goals, spawns = page_levels(id)
    spawns = spawns[:, : rules(id)["numSpawns"]]
    inside = tiles[:, 1:-1, 1:-1].reshape(len(numbers), -1)
    solid = np.packbits((inside == Tile.WALL) | (inside == Tile.ROCK), axis=1)
    cells = np.concatenate([goals, spawns], axis=1).astype(np.uint8).reshape(len(numbers), -1)
    number = np.array(numbers, "<u2")[:, None].view(np.uint8)
    return np.concatenate([number, solid, cells], axis=1).tobytes()


def enough_spawns(levels: Level, max_steps: int) -> int:
    """How many spawns of each level are more than any policy could use in an episode.

    A trip takes at least as many steps as its ends are apart in rows and columns.
    """
    steps = np.abs(levels.spawns - levels.goals).sum(axis=2).cumsum(axis=1)
    most_finds = int((steps <= max_steps).sum(axis=1).max())
    if most_finds == levels.spawns.shape[1]:
        raise ValueError(f"{most_finds} spawns do not last for an episode of {max_steps} steps")
    return most_finds + 1


def _bundle() -> str:
    paths = sorted((FOLDER / "src").glob("*.js"))
    return join({path.stem: COMMENT.sub("", path.read_text("utf-8")) for path in paths})


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


def _base85(data: bytes) -> str:
    return base64.b85encode(data).decode()


def main() -> None:
    """Writes the files."""
    (FOLDER / "data").mkdir(exist_ok=True)
    files = outputs()
    for path, text in files.items():
        (FOLDER / path).write_text(text, "utf-8", newline="\n")
        print(f"{len(text) / 1000:8.1f} kB  {path}")


if __name__ == "__main__":
    main()
