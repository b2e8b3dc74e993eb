/** Reads the levels that `build.py` packs. */

import { Tile } from "./rules.js";

/**
 * The levels of an id by number. Each is a number (two bytes), the solid cells inside of the ring as
 * bits, the goal and the spawns (row and column, a byte each).
 * @param {Uint8Array} bytes
 * @param {import("./rules.js").Rules} rules
 * @returns {Map<number, import("./rules.js").Level>}
 * @throws {Error} if the file is damaged
 */
export function readLevels(bytes, { side, digSteps, numSpawns }) {
  const inner = side - 2;
  const bitBytes = Math.ceil((inner * inner) / 8);
  const size = 2 + bitBytes + 2 * (1 + numSpawns);
  if (!bytes.length || bytes.length % size) throw new Error(`${bytes.length} bytes`);
  const levels = new Map();
  for (let at = 0; at < bytes.length; at += size) {
    const tiles = new Uint8Array(side * side).fill(Tile.WALL);
    for (let i = 0; i < inner * inner; i++) {
      const solid = (bytes[at + 2 + (i >> 3)] >> (7 - (i & 7))) & 1;
      const cell = (Math.floor(i / inner) + 1) * side + (i % inner) + 1;
      if (!solid) tiles[cell] = Tile.FLOOR;
      else if (digSteps) tiles[cell] = Tile.ROCK;
    }
    const pairs = bytes.subarray(at + 2 + bitBytes, at + size);
    const [goal, ...spawns] = Array.from(
      { length: 1 + numSpawns },
      (_, i) => pairs[2 * i] * side + pairs[2 * i + 1],
    );
    if ([goal, ...spawns].some((cell) => tiles[cell] !== Tile.FLOOR) || spawns.includes(goal)) {
      throw new Error("a goal or a start is no cell of the floor");
    }
    tiles[goal] = Tile.GOAL;
    levels.set(bytes[at] + 256 * bytes[at + 1], { tiles, spawns });
  }
  return levels;
}
