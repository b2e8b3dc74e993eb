"""Makes assets/sprites.png, the pixel art that gridmem/render/sprites.py reads.

Run from the repository's root: uv run python assets/make_sprites.py

The art is drawn twice, at 16 and, below that, at 8 pixels a tile, in five rows of 16 tiles:

    0      floor: 4 variants x (no shadow, below something solid, right of it, both)
    1      wall: bit i of the column is set if nothing solid is beside it in the direction of
           action i (up, right, down, left)
    2      rock: 4 variants x (between others, nothing solid above it, below it, both)
    3, 4   agents: 3 colours a row x (up, right, down, left, no direction yet); at the end of the
           rows the goal and the fog over unseen cells

Goal and agents have the colours of Okabe and Ito ("Color Universal Design", 2008). Floor is light,
rock medium, wall dark, so that they differ in greyscale too. Light comes from the upper left.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from gridmem.render.sprites import AGENTS, ART_SIZES, COLUMNS, FLOOR, FOG, GOLD, ROCK, WALL

UP, RIGHT, DOWN, LEFT = 1, 2, 4, 8
SHADOW, WHITE, INK, CLEAR = (30, 28, 52), (255, 255, 255), (16, 18, 28), (0, 0, 0, 0)
FLOORS, SEAM = (FLOOR, (221, 213, 195), (232, 225, 209), (225, 216, 197)), (216, 207, 188)
CHIP, MOSS, MOSS_DARK = (190, 178, 156), (178, 181, 136), (150, 155, 112)
ROOF_LIGHT, ROOF_DARK, RIM = (60, 66, 93), (45, 49, 70), (132, 144, 180)
FRONT, JOINT, FOOT = (92, 100, 134), (66, 72, 100), (33, 35, 52)
ROCK_LIGHT, ROCK_DARK, CRACK, SOIL = (199, 152, 107), (126, 84, 53), (92, 60, 38), (66, 44, 32)
GOLD_LIGHT, GOLD_DARK, GOLD_EDGE = (255, 214, 98), (180, 110, 0), (58, 34, 10)

# One column per direction: up, right, down, none yet. o edge, b body, l lit, d dark, w white,
# k ink, s shadow on the floor.
AGENT = {
    16: """
................ ................ ................ ................
.....oooooo..... .....oooooo..... .....oooooo..... .....oooooo.....
...oolllllboo... ...oolllllboo... ...oolllllboo... ...oolllllboo...
..olllllbbbbbo.. ..olllllbbbbbo.. ..olllllbbbbbo.. ..olllllbbbbbo..
..ollooooooobo.. ..olllbbbbbbbo.. ..olllbbbbbbbo.. ..olllbbbbbbbo..
.olllodddddobbo. .olllbwwwbwwwbo. .olllbbbbbbbbbo. .olllbbbbbbbbbo.
.ollbodddddobbo. .ollbbwwkbwwkbo. .olbwwwbbwwwbbo. .ollbbbbbbbbbbo.
.olbboooooooobo. .olbbbwwkbwwkbo. .olbwwwbbwwwbbo. .olbbbbbbbbbbbo.
.obbbodddddobbo. .obbbbwwkbwwkbo. .obbwkkbbkkwbbo. .obboobbbboobbo.
.obbbodddddobdo. .obbbbbbbbbbbdo. .obbwkkbbkkwbdo. .obbbboobobbbdo.
.obbbodddddobdo. .obbbbbbbbbbbdo. .obbbbbbbbbbbdo. .obbbbbbbbbbbdo.
.obbbboooooobdo. .obbbbbbbbbbddo. .obbbbbbbbbbddo. .obbbbbbbbbbddo.
..obbbbbbbbddo.. ..obbbbbbbbddo.. ..obbbbbbbbddo.. ..obbbbbbbbddo..
..oddddddddddos. ..oddddddddddos. ..oddddddddddos. ..oddddddddddos.
..soddooooddoss. ..soddooooddoss. ..soddooooddoss. ..soddooooddoss.
...soossssooss.. ...soossssooss.. ...soossssooss.. ...soossssooss..
""",
    8: """
..oooo.. ..oooo.. ..oooo.. ..oooo..
.ollbbo. .ollbbo. .ollbbo. .ollbbo.
olbbbbbo olbwbwbo olbbbbbo olbbbbbo
obddddbo obbkbkbo obwbbwbo obbbbbbo
obddddbo obbbbbbo obkbbkbo obkbbkbo
obddddbo obbbbbbo obbbbbbo obbbbbbo
.oddddo. .oddddo. .oddddo. .oddddo.
.sossos. .sossos. .sossos. .sossos.
""",
}
# o edge, y light, g gold, d dark, w white, s shadow on the floor.
GEM = {
    16: """
................
.......oo.......
......oyyo......
.....oyyggo.....
....oyywgggo....
...oyywygggdo...
..oyywyyggggdo..
.oyywyyyggggddo.
.oyyyyyyggggddo.
..oggggggdddds..
...oggggdddosss.
....ogggddosss..
.....oggdosss...
......ogoss.....
.......oss......
................
""",
    8: """
...oo...
..oygo..
.oywggo.
oywyggdo
oygggddo
.oggddos
..ogdos.
...oos..
""",
}
# e earth around the stone, l lit, r stone, d dark, c crack
STONE = {
    16: """
eeeeeeeeeeeeeeee
eeelllllllllreee
eellllrrrrrrrree
elllrrrrrcrrrrde
ellrrrrrrcrrrrde
elrrrrrrccrrrrde
elrrrrrcrrrrrrde
elrrrrrccrrrrrde
elrrrrrrrcrrrrde
elrrrcrrrrccrrde
elrccrrrrrrrrdde
errrrrrrrrrrrdde
errrrrrrrrrrddde
eerdrrrrrddddeee
eeeddddddddddeee
eeeeeeeeeeeeeeee
""",
    8: """
eeeeeeee
eellrree
elrrcrde
elrcrrde
elrrcrde
elrrrdde
eerdddee
eeeeeeee
""",
}
# On variants 2 and 3 of the floor: c chip, m moss, n dark moss
LITTER = {
    (16, 2): """
................
................
................
.........c......
........c.......
........c.......
.......c........
......cc........
.....c..c.......
....c....c......
................
................
................
................
................
................
""",
    (16, 3): """
................
................
................
................
................
................
................
................
.........m......
..........m.m...
..........nm....
........m.nn....
.........nn.....
................
................
................
""",
    (8, 2): """
........
........
....c...
...c....
...cc...
........
........
........
""",
    (8, 3): """
........
........
........
........
.....m..
....mn..
........
........
""",
}


def main() -> None:
    """Writes the picture beside this script."""
    sheets = [sheet(px) for px in ART_SIZES]
    picture = np.zeros((sum(map(len, sheets)), COLUMNS * max(ART_SIZES), 4), np.uint8)
    top = 0
    for art in sheets:
        picture[top : top + len(art), : art.shape[1]] = art
        top += len(art)
    Image.fromarray(picture).save(Path(__file__).parent / "sprites.png", optimize=True)


def sheet(px: int) -> np.ndarray:
    """All tiles at one size: u8[5 * px, 16 * px, 4]."""
    agents = [agent(px, colour) for colour in AGENTS]
    rows = [
        [floor(px, variant, shade) for variant in range(4) for shade in range(4)],
        [wall(px, is_open) for is_open in range(16)],
        [rock(px, variant, is_open) for variant in range(4) for is_open in range(4)],
        [*agents[0], *agents[1], *agents[2], goal(px)],
        [*agents[3], *agents[4], *agents[5], plain(px, FOG)],
    ]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


def plain(px: int, colour: tuple[int, ...]) -> np.ndarray:
    """A tile of one colour."""
    return np.full((px, px, 4), (*colour, 255)[:4], np.uint8)


def from_letters(lines: str, paints: dict[str, tuple[int, ...]]) -> np.ndarray:
    """A tile from lines of letters."""
    paints = {letter: (*colour, 255)[:4] for letter, colour in paints.items()}
    return np.array([[paints[letter] for letter in line] for line in lines.split()], np.uint8)


def specks(px: int, seed: int, number: int) -> tuple[np.ndarray, ...]:
    """Some pixels of a tile, away from its border; deterministic."""
    return tuple(np.random.RandomState(seed).randint(1, px - 1, (2, number)))


def floor(px: int, variant: int, shade: int) -> np.ndarray:
    """A slab of stone, bare or chipped; darker in the shadow of something solid."""
    tile = plain(px, FLOORS[variant])
    tile[-1, :, :3] = tile[:, -1, :3] = SEAM
    if variant >= 2:
        litter = from_letters(
            LITTER[px, variant], {"c": CHIP, "m": MOSS, "n": MOSS_DARK, ".": CLEAR}
        )
        tile = np.where(litter[..., 3:] > 0, litter, tile)
    depth = np.full((px, px), px)
    if shade & 1:
        depth = np.minimum(depth, np.arange(px)[:, None])
    if shade & 2:
        depth = np.minimum(depth, np.arange(px)[None] + px // 16)
    share = np.select([depth < px // 8, depth < px // 4], [0.36, 0.17], 0.0)[..., None]
    tile[..., :3] = np.round(tile[..., :3] * (1 - share) + np.array(SHADOW) * share)
    return tile


def wall(px: int, is_open: int) -> np.ndarray:
    """The top of a wall, with a rim beside free cells, and its front if free below."""
    tile = plain(px, WALL)
    tile[*specks(px, 7, px // 2), :3] = ROOF_LIGHT
    tile[*specks(px, 8, px // 3), :3] = ROOF_DARK
    if is_open & RIGHT:
        tile[:, -1, :3] = ROOF_DARK
    if is_open & LEFT:
        tile[:, 0, :3] = FRONT
    if is_open & UP:
        tile[0, :, :3] = RIM
    if is_open & DOWN:
        high = px * 3 // 8
        tile[-high - 1, :, :3] = RIM
        tile[-high:, :, :3] = FRONT
        for layer in range(0, high, 3):
            tile[-high + layer + 2 : -high + layer + 3, :, :3] = JOINT
            joints = slice(3 + layer % 2 * px // 4, None, px // 2)
            tile[-high + layer : -high + layer + 2, joints, :3] = JOINT
        tile[-1, :, :3] = FOOT
    return tile


def rock(px: int, variant: int, is_open: int) -> np.ndarray:
    """A cracked boulder in earth."""
    tile = from_letters(
        STONE[px], {"e": SOIL, "l": ROCK_LIGHT, "r": ROCK, "d": ROCK_DARK, "c": ROCK}
    )
    crack = from_letters(STONE[px], dict.fromkeys("elrd", CLEAR) | {"c": CRACK})
    crack = (crack, crack[:, ::-1], crack[::-1], crack.swapaxes(0, 1))[variant]
    tile = np.where(crack[..., 3:] > 0, crack, tile)
    for side, bit in (slice(None), 1), (slice(None, None, -1), 2):
        if is_open & bit:
            corners = tile[side]
            corners[0, [0, -1], :3] = FLOOR
            if px > 8:
                corners[0, [1, -2], :3] = corners[1, [0, -1], :3] = FLOOR
    return tile


def goal(px: int) -> np.ndarray:
    """A cut gem of gold."""
    paints = {"y": GOLD_LIGHT, "g": GOLD, "d": GOLD_DARK, "o": GOLD_EDGE, "w": WHITE}
    return from_letters(GEM[px], paints | {"s": (*SHADOW, 80), ".": CLEAR})


def agent(px: int, colour: tuple[int, int, int]) -> list[np.ndarray]:
    """An agent that looks up, right, down, left, and in no direction yet."""

    def mixed(share: float, other: int) -> tuple[int, ...]:
        return tuple(round(share * part + (1 - share) * other) for part in colour)

    paints = {"o": mixed(0.28, 0), "d": mixed(0.68, 0), "b": colour, "l": mixed(0.5, 255)}
    paints |= {"w": WHITE, "k": INK, "s": (*SHADOW, 80), ".": CLEAR}
    pictures = zip(*map(str.split, AGENT[px].strip().split("\n")), strict=True)
    up, right, down, none = (from_letters("\n".join(picture), paints) for picture in pictures)
    return [up, right, down, right[:, ::-1], none]


if __name__ == "__main__":
    main()
