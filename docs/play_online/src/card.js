/** The card at the end of an episode, and the table of results. */

import { tag } from "./dom.js";
import { count } from "./words.js";

/**
 * @typedef {object} Row of the card
 * @property {string} name
 * @property {string} colour
 * @property {import("./game.js").Walk} walk
 */

/**
 * @param {HTMLElement} timelines each player's trips along the time of the episode
 * @param {HTMLElement} table the same as numbers
 * @param {Row[]} rows
 */
export function fillCard(timelines, table, rows) {
  timelines.replaceChildren(...rows.map(timeline));
  const numTrips = Math.max(...rows.map(({ walk }) => walk.trips.length));
  const numbers = Array.from({ length: numTrips }, (_, trip) => `${trip + 1}`);
  const [first = "", ...later] = numbers;
  const names = ["Player", "Finds", `Steps of trip ${first}`, ...later];
  const head = tag("thead", tag("tr", ...names.map((name) => heading(name, "col"))));
  const lines = rows.map(({ name, walk }) => {
    const steps = numbers.map((_, trip) => `${walk.trips[trip] ?? ""}`);
    return tableRow([`${walk.trips.length}`, ...steps], heading(name, "row"));
  });
  table.replaceChildren(head, tag("tbody", ...lines));
}

/**
 * @param {HTMLElement} body of the table
 * @param {import("./results.js").Result[]} results
 */
export function fillResults(body, results) {
  const lines = results.map((result) =>
    tableRow([
      new Date(result.date).toLocaleString(),
      result.id,
      `${result.level}`,
      `${result.attempt}`,
      `${result.finds}`,
      `${result.agentFinds ?? ""}`,
      `${result.oracleFinds}`,
      [result.othersHidden && "others", result.mapHidden && "map"].filter(Boolean).join(", "),
      result.trips.join(" "),
    ]),
  );
  body.replaceChildren(...lines.reverse());
}

/** @param {Row} row */
function timeline({ name, colour, walk }) {
  const bar = tag("div", ...walk.trips.map((steps) => segment(steps, `${steps}`)));
  bar.className = "bar";
  bar.setAttribute("aria-hidden", "true"); // the table has the numbers
  const rest = segment(walk.tripSteps, "");
  rest.className = "unfinished";
  if (walk.tripSteps) bar.append(rest);
  const line = tag("div", tag("span", name), bar);
  line.className = "timeline";
  line.style.setProperty("--colour", colour);
  return line;
}

/**
 * @param {number} steps
 * @param {string} text
 */
function segment(steps, text) {
  const element = tag("span", text);
  element.style.flex = `${steps} 0 0`;
  element.title = count(steps, "step");
  return element;
}

/**
 * @param {string[]} cells
 * @param {HTMLElement[]} headings before the cells
 */
function tableRow(cells, ...headings) {
  return tag("tr", ...headings, ...cells.map((cell) => tag("td", cell)));
}

/**
 * @param {string} text
 * @param {"col" | "row"} scope
 */
function heading(text, scope) {
  const element = tag("th", text);
  element.setAttribute("scope", scope);
  return element;
}
