/** Your own results, kept in the browser. */

const KEY = "gridmem-results-1";

/**
 * @typedef {object} Result
 * @property {string} date
 * @property {string} id
 * @property {number} level
 * @property {number} attempt 1 for the first time in this cave; later the cave is known
 * @property {boolean} othersHidden whether the agent and the oracle were hidden to the end
 * @property {boolean} mapHidden whether the map was hidden to the end
 * @property {number} maxSteps
 * @property {number} finds
 * @property {number | null} agentFinds
 * @property {number} oracleFinds
 * @property {number[]} trips steps of each find
 */

/** The columns of the exported file. */
const COLUMNS = /** @type {const} */ ([
  ["date", "date"],
  ["id", "id"],
  ["level", "level"],
  ["attempt", "attempt"],
  ["others_hidden", "othersHidden"],
  ["map_hidden", "mapHidden"],
  ["max_steps", "maxSteps"],
  ["finds", "finds"],
  ["agent_finds", "agentFinds"],
  ["oracle_finds", "oracleFinds"],
  ["trips", "trips"],
]);

export class Results {
  /** @type {Result[]} */
  rows = [];
  /** @type {Record<string, number>} */
  starts = {}; // episodes begun, by id and level
  problem = ""; // a sentence, if results cannot be read or kept
  #isUnsaved = false; // whether they are here only
  /** @type {string | null} */
  #unreadable = null; // what is stored, if it cannot be read

  constructor() {
    this.#read();
  }

  /**
   * Counts an episode that begins.
   * @param {string} id
   * @param {number} level
   * @returns {number} which attempt it is
   */
  begin(id, level) {
    this.#read();
    const name = `${id} ${level}`;
    this.starts[name] = (this.starts[name] ?? 0) + 1;
    this.#write();
    return this.starts[name];
  }

  /** @param {Result} row */
  add(row) {
    this.#read();
    this.rows.push(row);
    this.#write();
  }

  /** Forgets the results, but not which caves are known. */
  clear() {
    this.#read();
    this.rows = [];
    this.#write();
  }

  /** All results as comma-separated values; the steps of trips are separated by spaces. */
  csv() {
    const lines = this.rows.map((row) =>
      COLUMNS.map(([, key]) => (key === "trips" ? row.trips.join(" ") : row[key])).join(","),
    );
    return `${[COLUMNS.map(([name]) => name).join(","), ...lines].join("\n")}\n`;
  }

  /** What is stored, to which another tab may have added. */
  #read() {
    if (this.#isUnsaved) return;
    let text = null;
    try {
      text = localStorage.getItem(KEY);
      if (text === null) return;
      const { rows, starts } = JSON.parse(text);
      if (!rows.every((/** @type {Result} */ row) => Array.isArray(row.trips))) throw new Error();
      [this.rows, this.starts] = [rows, { ...starts }];
      this.#unreadable = null;
    } catch {
      this.#unreadable = text;
      this.problem = "Earlier results in this browser cannot be read.";
    }
  }

  #write() {
    try {
      if (this.#unreadable !== null) {
        localStorage.setItem(`${KEY}-unreadable-${Date.now()}`, this.#unreadable);
        this.#unreadable = null;
      }
      localStorage.setItem(KEY, JSON.stringify({ rows: this.rows, starts: this.starts }));
      if (this.#isUnsaved) this.problem = "";
      this.#isUnsaved = false;
    } catch {
      this.#isUnsaved = true;
      this.problem = "This browser does not keep results; export them before you leave.";
    }
  }
}
