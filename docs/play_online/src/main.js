/** Reads what the address of the page asks for, and begins. */

import { bytesOf } from "./base85.js";
import { get } from "./dom.js";
import { drawPiece, GOAL_COLUMN } from "./draw.js";
import { Problem, read, site } from "./files.js";
import { Game } from "./game.js";
import { readLevels } from "./levels.js";
import { argmax, Network } from "./network.js";
import { distances, oracleAction } from "./oracle.js";
import { Page } from "./page.js";
import { start, step, view } from "./rules.js";
import { readWeights } from "./safetensors.js";
import { ranges } from "./words.js";

const DEFAULT_ID = "GridMem-13x13-v0";
const HIDEABLE = ["others", "map"];

/** @throws {Problem} */
async function main() {
  const sprites = await createImageBitmap(new Blob([bytesOf(site.sprites)]));
  drawPiece(get("#goal", HTMLCanvasElement), sprites, GOAL_COLUMN);
  const parameters = new URLSearchParams(location.search);
  const hidden = (parameters.get("hide") ?? "").split(" ").filter(Boolean);
  for (const name of HIDEABLE) checkbox(name).checked = hidden.includes(name);
  const id = parameters.get("id") ?? DEFAULT_ID;
  offer("#id", Object.keys(site.ids), id, (chosen) => address(chosen));
  if (!Object.keys(site.ids).includes(id)) {
    throw new Problem(`There is no environment “${id}”; choose one from the list.`);
  }
  const rules = site.ids[id];
  const levels = await read(`${id}-levels`, (bytes) => readLevels(bytes, rules));
  const numbers = [...levels.keys()];
  const text = parameters.get("level") ?? `${rules.firstLevel}`;
  offer("#level", numbers.map(String), text, (chosen) => address(id, chosen));
  const position = numbers.map(String).indexOf(text);
  const level = levels.get(numbers[position]);
  if (!level) {
    throw new Problem(`There is no level “${text}” here; choose one of ${ranges(numbers)}.`);
  }
  const unknown = hidden.find((name) => !HIDEABLE.includes(name));
  if (unknown) {
    throw new Problem(`There is no “${unknown}” to hide; choose others, map or others+map.`);
  }
  const network = rules.hasAgent
    ? await read(`${id}-agent`, (bytes) => new Network(readWeights(bytes)))
    : null;
  if (rules.digSteps) {
    get("#digging", HTMLElement).textContent =
      `Walk into brown rock to dig it away, which takes ${1 + rules.digSteps} steps.`;
  }
  new Page(id, numbers[position], () => new Game(rules, level, network), sprites);
  const next = get("#next", HTMLAnchorElement);
  const refresh = () => {
    next.href = address(id, `${numbers[(position + 1) % numbers.length]}`);
  };
  for (const name of HIDEABLE) checkbox(name).addEventListener("change", refresh);
  refresh();
  // The next frame has the pictures; the one after it begins when they are there to be seen.
  requestAnimationFrame(() => requestAnimationFrame(() => performance.mark("first picture")));
}

/** @param {string} name of what a checkbox hides */
const checkbox = (name) => get(`#hide-${name}`, HTMLInputElement);

/**
 * The address of a cave, with what is hidden now.
 * @param {string} id
 * @param {string} [level] by default the first that the page shows of an id
 */
function address(id, level) {
  const hide = HIDEABLE.filter((name) => checkbox(name).checked).join(" ");
  return `?${new URLSearchParams({ id, ...(level && { level }), ...(hide && { hide }) })}`;
}

/**
 * Fills a list, from which a choice leads to another address.
 * @param {string} selector
 * @param {string[]} options
 * @param {string} current
 * @param {(chosen: string) => string} addressOf
 */
function offer(selector, options, current, addressOf) {
  const select = get(selector, HTMLSelectElement);
  select.replaceChildren(...options.map((text) => new Option(text)));
  select.value = current; // nothing, if it is no option
  select.onchange = () => location.assign(addressOf(select.value));
}

/** @param {unknown} error */
function explain(error) {
  const known = error instanceof Problem;
  const problem = get("#problem", HTMLElement);
  problem.textContent = known ? error.message : `The page does not work here: ${error}.`;
  problem.hidden = false;
}

document.fonts.add(new FontFace("GridMem", bytesOf(site.font)));
main().catch(explain);

// For tests, and for the console of a browser.
Object.assign(globalThis, {
  gridmem: {
    ...{ start, step, view, distances, oracleAction, argmax, Network, Game },
    ...{ bytesOf, readLevels, readWeights },
  },
});
