/** Shortest paths to the goal, as in `gridmem/envs/analysis`. */

import { moves, NO_ACTION, Tile } from "./rules.js";

/** The distance where there is no path. */
export const UNREACHABLE = 2 ** 29;

/**
 * Steps that entering a tile takes.
 * @param {number} tile
 * @param {number} digSteps
 */
function entryCost(tile, digSteps) {
  if (tile === Tile.FLOOR || tile === Tile.GOAL) return 1;
  return tile === Tile.ROCK && digSteps > 0 ? digSteps + 2 : UNREACHABLE;
}

/**
 * Steps from every cell to the goal, by Dijkstra's algorithm with the cells of each distance in a list.
 * @param {Uint8Array} tiles
 * @param {import("./rules.js").Rules} rules
 */
export function distances(tiles, rules) {
  const found = new Int32Array(tiles.length).fill(UNREACHABLE);
  const goal = tiles.indexOf(Tile.GOAL);
  const cellsAt = [[goal]]; // by distance
  found[goal] = 0;
  for (let steps = 0; steps < cellsAt.length; steps++) {
    for (const cell of cellsAt[steps] ?? []) {
      if (found[cell] < steps) continue; // reached on a shorter path meanwhile
      const total = steps + entryCost(tiles[cell], rules.digSteps);
      for (const offset of moves(rules.side)) {
        const next = cell + offset;
        if (total >= found[next] || entryCost(tiles[next], rules.digSteps) >= UNREACHABLE) continue;
        found[next] = total;
        cellsAt[total] ??= [];
        cellsAt[total].push(next);
      }
    }
  }
  return found;
}

/**
 * The first move of a shortest path, the lowest id of several; none without a path.
 * @param {import("./rules.js").State} state
 * @param {Int32Array} distance of the tiles at the start of the trip
 */
export function oracleAction(state, distance) {
  let [action, least] = [NO_ACTION, UNREACHABLE];
  moves(state.rules.side).forEach((offset, move) => {
    const cell = state.position + offset;
    const steps = entryCost(state.tiles[cell], state.rules.digSteps) + distance[cell];
    if (steps < least) [action, least] = [move, steps];
  });
  return action;
}
