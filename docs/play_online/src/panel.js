/** One of the three players on the page. */

import { tag } from "./card.js";
import { draw, drawPiece, playerColumn } from "./draw.js";
import { view, viewCells } from "./rules.js";
import { count, surroundings } from "./words.js";

/**
 * @template {HTMLElement} T
 * @param {string} selector
 * @param {new () => T} type
 * @param {ParentNode} inside
 */
export function get(selector, type, inside = document) {
  const found = inside.querySelector(selector);
  if (!(found instanceof type)) throw new Error(`the page has no ${selector}`);
  return found;
}

/**
 * @typedef {object} Look
 * @property {boolean} isCovered nothing is shown
 * @property {boolean} hasMap
 * @property {boolean} isRevealed the map shows the whole cave
 * @property {ArrayLike<number> | null} heat
 * @property {Record<string, string>} further numbers
 */

export class Panel {
  /**
   * @param {{ key: string, name: string, tab: string, about: string, view: string, map: string }} player
   * @param {number} colour
   * @param {HTMLImageElement} sprites
   */
  constructor(player, colour, sprites) {
    const copy = document.importNode(get("#player", HTMLTemplateElement).content, true);
    this.section = get(".player", HTMLElement, copy);
    this.section.id = player.key;
    this.section.setAttribute("aria-label", player.name);
    this.section.style.setProperty("--colour", `var(--${player.key})`);
    this.tab = document.createElement("button");
    this.tab.type = "button";
    this.player = player;
    this.colour = colour;
    this.sprites = sprites;
    get(".name", HTMLElement, copy).textContent = player.name;
    get(".about", HTMLElement, copy).textContent = player.about;
    get(".view-caption", HTMLElement, copy).textContent = player.view;
    get(".map-caption", HTMLElement, copy).textContent = player.map;
    drawPiece(get(".portrait", HTMLCanvasElement, copy), sprites, playerColumn(colour));
    get("#players", HTMLElement).append(copy);
    get("#tabs", HTMLElement).append(this.tab);
  }

  /** @param {boolean} isCurrent whether it is the one that a narrow page shows */
  select(isCurrent) {
    this.section.classList.toggle("current", isCurrent);
    this.tab.setAttribute("aria-pressed", `${isCurrent}`);
  }

  /**
   * @param {import("./game.js").Walk} walk
   * @param {Look} look
   */
  show(walk, { isCovered, hasMap, isRevealed, heat, further }) {
    const { state, trips } = walk;
    this.tab.textContent = isCovered ? this.player.tab : `${this.player.tab} ${trips.length}`;
    this.section.classList.toggle("covered", isCovered);
    this.section.classList.toggle("found", !isCovered && state.lastReward > 0);
    if (isCovered) return;
    const numbers = { finds: trips.length, trip: walk.tripSteps, ...further };
    get(".numbers", HTMLElement, this.section).replaceChildren(
      ...Object.entries(numbers).map(([name, number]) =>
        tag("div", tag("dt", name), tag("dd", `${number}`)),
      ),
    );
    const { colour, sprites } = this;
    const scene = { colour, facing: state.lastAction };
    const viewCanvas = get(".view", HTMLCanvasElement, this.section);
    const tiles = view(state);
    viewCanvas.setAttribute("aria-label", `View: ${surroundings(state)}`);
    draw(viewCanvas, sprites, {
      ...scene,
      tiles,
      cell: (tiles.length - 1) / 2,
      heat: heat && viewCells(state).map((cell) => heat[cell] ?? 0),
    });
    const mapCanvas = get(".map", HTMLCanvasElement, this.section);
    /** @type {HTMLElement} */ (mapCanvas.parentElement).hidden = !hasMap;
    const numSeen = walk.seen.reduce((sum, seen) => sum + seen, 0);
    mapCanvas.setAttribute("aria-label", `Map: ${count(numSeen, "cell")} seen`);
    draw(mapCanvas, sprites, {
      ...scene,
      tiles: state.tiles,
      cell: state.position,
      seen: walk.seen,
      isRevealed,
      isVaried: true,
      outlined: state.rules.viewSize,
      heat,
    });
  }
}
