/** One of the three players on the page. */

import { get, tag } from "./dom.js";
import { drawPiece, Picture, playerColumn } from "./draw.js";
import { view, viewCells } from "./rules.js";
import { count, surroundings } from "./words.js";

/**
 * @typedef {object} Player
 * @property {string} key id of its part of the page, and name of its colour
 * @property {string} name
 * @property {string} tab name in short
 * @property {string} about
 * @property {string} view what its view shows
 * @property {string} map what its map shows
 * @property {(game: import("./game.js").Game) => import("./game.js").Walk | null} walkIn
 *
 * @typedef {object} Look
 * @property {boolean} isCovered nothing is shown
 * @property {boolean} hasMap
 * @property {boolean} isRevealed the map shows the whole cave
 * @property {ArrayLike<number> | null} heat
 * @property {Record<string, string>} further numbers
 */

export class Panel {
  /**
   * @param {Player} player
   * @param {number} colour
   * @param {ImageBitmap} sprites
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
    this.view = new Picture(get(".view", HTMLCanvasElement, copy), sprites);
    this.map = new Picture(get(".map", HTMLCanvasElement, copy), sprites);
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
    const numbers = {
      finds: trips.length,
      "steps of this trip": walk.tripSteps,
      ...further,
    };
    get(".numbers", HTMLElement, this.section).replaceChildren(
      ...Object.entries(numbers).map(([name, number]) =>
        tag("div", tag("dt", name), tag("dd", `${number}`)),
      ),
    );
    const scene = { colour: this.colour, facing: state.lastAction };
    const tiles = view(state);
    this.view.canvas.setAttribute("aria-label", `View: ${surroundings(state)}`);
    this.view.show({
      ...scene,
      tiles,
      cell: (tiles.length - 1) / 2,
      heat: heat && viewCells(state).map((cell) => heat[cell] ?? 0),
    });
    /** @type {HTMLElement} */ (this.map.canvas.parentElement).hidden = !hasMap;
    const numSeen = walk.seen.reduce((sum, seen) => sum + seen, 0);
    this.map.canvas.setAttribute("aria-label", `Map: ${count(numSeen, "cell")} seen`);
    this.map.show({
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
