/** The rules of `gridmem.Env` for one agent and the task Return. Cells are numbered row by row. */

/** Ids of tiles, in maps and views. */
export const Tile = Object.freeze({ FLOOR: 0, WALL: 1, ROCK: 2, GOAL: 3, AGENT: 4 });

/** Actions are 0 up, 1 right, 2 down, 3 left; this one is "none yet", and does nothing. */
export const NO_ACTION = 4;

/**
 * @typedef {object} Rules of an id
 * @property {number} side of the square map, its ring of wall included
 * @property {number} viewSize side of the view, odd
 * @property {number} maxSteps
 * @property {number} digSteps steps that are ignored after a rock is dug out; 0 makes rock permanent
 * @property {number} numSpawns of each level
 *
 * @typedef {object} Level all that is random in an episode
 * @property {Uint8Array} tiles the goal is drawn in
 * @property {number[]} spawns the cells where trips begin; more than an episode can need
 *
 * @typedef {object} State
 * @property {Rules} rules
 * @property {number[]} spawns
 * @property {Uint8Array} tiles
 * @property {number} position
 * @property {number} busy steps for which actions are still ignored
 * @property {number} visits finds so far
 * @property {number} lastAction as given, also while digging
 * @property {number} lastReward
 * @property {number} time
 */

/**
 * What each action adds to a cell's number.
 * @param {number} side
 */
export const moves = (side) => [-side, 1, side, -1];

/**
 * The state in which an episode begins.
 * @param {Rules} rules
 * @param {Level} level
 * @returns {State}
 */
export function start(rules, level) {
  return {
    rules,
    spawns: level.spawns,
    tiles: level.tiles.slice(),
    position: level.spawns[0],
    busy: 0,
    visits: 0,
    lastAction: NO_ACTION,
    lastReward: 0,
    time: 0,
  };
}

/**
 * One step; changes the state.
 * @param {State} state
 * @param {number} action ids other than 0 to 3 do nothing
 */
export function step(state, action) {
  const { rules, tiles, position } = state;
  const offset = moves(rules.side)[action] ?? 0;
  const target = position + (state.busy === 0 ? offset : 0);
  const tile = tiles[target];
  const enters = target !== position && (tile === Tile.FLOOR || tile === Tile.GOAL);
  const digs = rules.digSteps > 0 && tile === Tile.ROCK;
  const finds = enters && tile === Tile.GOAL;
  if (enters) state.position = target;
  if (digs) tiles[target] = Tile.FLOOR;
  state.busy = digs ? rules.digSteps : Math.max(state.busy - 1, 0);
  if (finds) state.position = state.spawns[++state.visits];
  state.lastAction = offset ? action : NO_ACTION;
  state.lastReward = finds ? 1 : 0;
  state.time += 1;
}

/** @param {State} state */
export const isOver = (state) => state.time >= state.rules.maxSteps;

/**
 * The cells of the square that the agent sees, -1 for those beyond the map.
 * @param {State} state
 */
export function viewCells(state) {
  const { side, viewSize } = state.rules;
  const top = Math.floor(state.position / side) - (viewSize - 1) / 2;
  const left = (state.position % side) - (viewSize - 1) / 2;
  return Array.from({ length: viewSize * viewSize }, (_, i) => {
    const row = top + Math.floor(i / viewSize);
    const column = left + (i % viewSize);
    const inside = row >= 0 && row < side && column >= 0 && column < side;
    return inside ? row * side + column : -1;
  });
}

/**
 * What the agent sees: the tiles of its view, itself in the middle.
 * @param {State} state
 */
export function view(state) {
  const tiles = viewCells(state).map((cell) => (cell < 0 ? Tile.WALL : state.tiles[cell]));
  tiles[(tiles.length - 1) / 2] = Tile.AGENT;
  return Uint8Array.from(tiles);
}
