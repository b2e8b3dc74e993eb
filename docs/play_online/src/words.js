/** What a screen reader says, and numbers in words. */

import { moves, Tile, viewCells } from "./rules.js";

const DIRECTIONS = ["up", "right", "down", "left"];
const TILES = ["free", "wall", "rock", "goal"];

/**
 * What is beside a player, and where it sees the goal.
 * @param {import("./rules.js").State} state
 */
export function surroundings(state) {
  const { side } = state.rules;
  const beside = moves(side).map(
    (offset, move) => `${DIRECTIONS[move]} ${TILES[state.tiles[state.position + offset]]}`,
  );
  const goal = viewCells(state).find((cell) => state.tiles[cell] === Tile.GOAL);
  if (goal === undefined) return `${beside.join(", ")}; no goal in view.`;
  const rows = Math.floor(goal / side) - Math.floor(state.position / side);
  const columns = (goal % side) - (state.position % side);
  const parts = [
    rows && `${Math.abs(rows)} ${rows < 0 ? "up" : "down"}`,
    columns && `${Math.abs(columns)} ${columns < 0 ? "left" : "right"}`,
  ];
  return `${beside.join(", ")}; the goal is ${parts.filter(Boolean).join(" and ")}.`;
}

/**
 * "1 step", "2 steps".
 * @param {number} number
 * @param {string} noun
 */
export const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

/**
 * "0 to 99 and 345".
 * @param {number[]} numbers in ascending order
 */
export function ranges(numbers) {
  const starts = numbers.filter((number, i) => number - 1 !== numbers[i - 1]);
  const ends = numbers.filter((number, i) => number + 1 !== numbers[i + 1]);
  return starts
    .map((start, i) => (start < ends[i] ? `${start} to ${ends[i]}` : start))
    .join(" and ");
}
