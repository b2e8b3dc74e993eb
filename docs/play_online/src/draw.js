/** Pixel art of caves and views on a canvas, like `gridmem/render`. */

import { Tile } from "./rules.js";

const DOWN = 2;
const [LARGE, SMALL] = [16, 8]; // sides of a tile in the two parts of the picture, one below the other
const ART_ROWS = 5;
const PLAIN = ["#e4dcca", "#343951", "#a07048"]; // grounds that are too small for art
const FOG = "rgb(14 22 58 / 62%)";
const [COLD, HOT] = [
  [250, 150, 170],
  [206, 16, 90],
];
const VARIANTS = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 3]; // how often each look occurs
const [PIECES, FACINGS] = [3, 5]; // the row of the players and the goal; pictures of each player

/** The column of the goal among the pieces. */
export const GOAL_COLUMN = 15;

/**
 * The column of a player among the pieces.
 * @param {number} colour 0, 1 or 2
 * @param {number} facing an action
 */
export const playerColumn = (colour, facing = DOWN) => colour * FACINGS + facing;

/**
 * @typedef {object} Scene a square of tiles
 * @property {ArrayLike<number>} tiles
 * @property {number} cell of the player
 * @property {number} colour of the player: 0, 1 or 2
 * @property {number} facing the last action
 * @property {ArrayLike<number | boolean>} [seen] other cells are left empty
 * @property {boolean} [isRevealed] other cells are shown under fog instead
 * @property {boolean} [isVaried] whether floor and rock look different from cell to cell
 * @property {ArrayLike<number> | null} [heat] 0 to 1 for each cell
 * @property {number} [outlined] side of a square around the player that is outlined
 */

/** A canvas with a scene, as large as its parent, also after the size of that has changed. */
export class Picture {
  #width = 0; // none as long as the parent is not shown
  /** @type {Scene | null} */
  #scene = null;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {ImageBitmap} sprites
   */
  constructor(canvas, sprites) {
    this.canvas = canvas;
    this.sprites = sprites;
    // Asking for the width at every step would lay out the page at every step.
    const observer = new ResizeObserver(([{ contentRect }]) => {
      this.#width = contentRect.width;
      this.#draw();
    });
    observer.observe(/** @type {Element} */ (canvas.parentElement));
  }

  /** @param {Scene} scene */
  show(scene) {
    this.#scene = scene;
    this.#draw();
  }

  #draw() {
    if (!this.#scene || !this.#width) return;
    const side = Math.sqrt(this.#scene.tiles.length);
    const px = pixelsFor((this.#width * globalThis.devicePixelRatio) / side);
    if (this.canvas.width !== side * px) this.canvas.width = this.canvas.height = side * px;
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    context.clearRect(0, 0, side * px, side * px);
    draw(context, this.sprites, px, this.#scene);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {ImageBitmap} sprites
 * @param {number} px side of a tile
 * @param {Scene} scene
 */
function draw(context, sprites, px, scene) {
  const side = Math.sqrt(scene.tiles.length);
  const size = Math.max(px, SMALL); // of pieces, which stay visible on small maps
  const put = stamp(context, sprites, size);
  /** @type {(cell: number, column: number) => void} */
  const putPiece = (cell, column) => {
    const [x, y] = [(cell % side) * px, Math.floor(cell / side) * px];
    put(x - (size - px) / 2, y - (size - px) / 2, PIECES, column);
  };
  const isShown = Array.from(scene.tiles, (_, i) => !scene.seen || Boolean(scene.seen[i]));
  /** @type {(row: number, column: number) => boolean} */
  const isSolid = (row, column) => {
    const cell = clamp(row, side) * side + clamp(column, side); // the edge is continued
    const known = isShown[cell] || scene.isRevealed;
    return known ? scene.tiles[cell] === Tile.WALL || scene.tiles[cell] === Tile.ROCK : false;
  };
  for (let cell = 0; cell < scene.tiles.length; cell++) {
    if (!isShown[cell] && !scene.isRevealed) continue;
    const [row, column] = [Math.floor(cell / side), cell % side];
    const at = /** @type {const} */ ([column * px, row * px]);
    const tile = scene.tiles[cell] > Tile.ROCK ? Tile.FLOOR : scene.tiles[cell];
    const variant = scene.isVaried ? variantAt(row, column) : 0;
    if (px < SMALL) fill(context, ...at, px, PLAIN[tile]);
    else put(...at, tile, groundColumn(tile, row, column, variant, isSolid));
    const heat = scene.heat?.[cell] ?? 0;
    if (heat > 0) fill(context, ...at, px, heatColour(heat));
    if (!isShown[cell]) fill(context, ...at, px, FOG);
  }
  const goal = Array.from(scene.tiles).indexOf(Tile.GOAL);
  if (goal >= 0 && (isShown[goal] || scene.isRevealed)) putPiece(goal, GOAL_COLUMN);
  putPiece(scene.cell, playerColumn(scene.colour, scene.facing));
  if (scene.outlined) outline(context, scene, scene.outlined, px);
}

/**
 * A piece alone.
 * @param {HTMLCanvasElement} canvas
 * @param {ImageBitmap} sprites
 * @param {number} column of the piece
 */
export function drawPiece(canvas, sprites, column) {
  canvas.width = canvas.height = 32;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  stamp(context, sprites, 32)(0, 0, PIECES, column);
}

/**
 * The side of a tile in the canvas, a multiple of the art, which the style sheet scales down.
 * @param {number} pixels
 */
function pixelsFor(pixels) {
  if (pixels < SMALL) return Math.max(Math.ceil(pixels), 1);
  const n = artSize(pixels);
  return Math.ceil(pixels / n) * n;
}

/** @param {number} px */
const artSize = (px) => (px >= (LARGE + SMALL) / 2 ? LARGE : SMALL);

/**
 * A function that puts a tile of the art.
 * @param {CanvasRenderingContext2D} context
 * @param {ImageBitmap} sprites
 * @param {number} px
 */
function stamp(context, sprites, px) {
  const n = artSize(px);
  const top = n === LARGE ? 0 : ART_ROWS * LARGE;
  context.imageSmoothingEnabled = false;
  /** @type {(x: number, y: number, row: number, column: number) => void} */
  return (x, y, row, column) =>
    context.drawImage(sprites, column * n, top + row * n, n, n, x, y, px, px);
}

/**
 * The column of a cell's ground in its row of the art, which depends on what is beside it.
 * @param {number} tile
 * @param {number} row
 * @param {number} column
 * @param {number} variant
 * @param {(row: number, column: number) => boolean} isSolid
 */
function groundColumn(tile, row, column, variant, isSolid) {
  const up = isSolid(row - 1, column) ? 1 : 0;
  const right = isSolid(row, column + 1) ? 1 : 0;
  const down = isSolid(row + 1, column) ? 1 : 0;
  const left = isSolid(row, column - 1) ? 1 : 0;
  if (tile === Tile.WALL) return 15 - (up + 2 * right + 4 * down + 8 * left);
  if (tile === Tile.ROCK) return 4 * variant + 3 - (up + 2 * down);
  return 4 * variant + up + 2 * left;
}

/**
 * By a hash of the position.
 * @param {number} row
 * @param {number} column
 */
function variantAt(row, column) {
  const sum = (Math.imul(row, 0x9e3779b1) + Math.imul(column, 0x85ebca77)) >>> 0;
  return VARIANTS[Math.imul(sum ^ (sum >>> 15), 0xc2b2ae3d) >>> 28];
}

/** @param {number} heat */
function heatColour(heat) {
  const [red, green, blue] = COLD.map((cold, i) => cold * (1 - heat) + HOT[i] * heat);
  return `rgb(${red} ${green} ${blue} / ${85 * heat ** 0.75}%)`;
}

/**
 * A frame just outside of a square of cells around the player.
 * @param {CanvasRenderingContext2D} context
 * @param {Scene} scene
 * @param {number} cells
 * @param {number} px
 */
function outline(context, scene, cells, px) {
  const side = Math.sqrt(scene.tiles.length);
  const line = Math.max(Math.floor(px / 8), 1);
  const left = ((scene.cell % side) - (cells - 1) / 2) * px;
  const top = (Math.floor(scene.cell / side) - (cells - 1) / 2) * px;
  context.lineWidth = line;
  for (const [margin, colour] of /** @type {const} */ ([
    [1.5 * line, "#10121c"],
    [0.5 * line, "#fff"],
  ])) {
    const size = cells * px + 2 * margin;
    context.strokeStyle = colour;
    context.strokeRect(left - margin, top - margin, size, size);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} x
 * @param {number} y
 * @param {number} px
 * @param {string} colour
 */
function fill(context, x, y, px, colour) {
  context.fillStyle = colour;
  context.fillRect(x, y, px, px);
}

/**
 * @param {number} index
 * @param {number} length
 */
const clamp = (index, length) => Math.min(Math.max(index, 0), length - 1);
