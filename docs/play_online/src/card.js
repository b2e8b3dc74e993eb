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
  const head = tag("thead", tableRow("th", ["Trip", "Finds", ...numbers]));
  const lines = rows.map(({ name, walk }) => {
    const steps = numbers.map((_, trip) => `${walk.trips[trip] ?? ""}`);
    return tableRow("td", [name, `${walk.trips.length}`, ...steps]);
  });
  table.replaceChildren(head, tag("tbody", ...lines));
}

/**
 * @param {HTMLElement} body of the table
 * @param {import("./results.js").Result[]} results
 */
export function fillResults(body, results) {
  const lines = results.map((result) =>
    tableRow("td", [
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
 * @param {"td" | "th"} kind of the cells
 * @param {string[]} cells
 */
function tableRow(kind, cells) {
  return tag("tr", ...cells.map((cell) => tag(kind, cell)));
}
