/** One cave played three times, step by step together: by you, by the agent, and by the oracle. */

import { argmax } from "./network.js";
import { distances, oracleAction } from "./oracle.js";
import { isOver, start, step, view, viewCells } from "./rules.js";

/** An episode, and what its player saw and found. */
export class Walk {
  /**
   * @param {import("./rules.js").Rules} rules
   * @param {import("./rules.js").Level} level
   */
  constructor(rules, level) {
    this.state = start(rules, level);
    this.seen = new Uint8Array(level.tiles.length);
    /** @type {number[]} */
    this.cells = []; // where it was at each time
    /** @type {number[]} */
    this.trips = []; // the steps of each find
    this.#look();
  }

  /** The steps since the start of the present trip. */
  get tripSteps() {
    return this.state.time - this.trips.reduce((sum, steps) => sum + steps, 0);
  }

  /** @param {number} action */
  step(action) {
    step(this.state, action);
    if (this.state.lastReward) this.trips.push(this.tripSteps);
    this.#look();
  }

  #look() {
    this.cells.push(this.state.position);
    for (const cell of viewCells(this.state)) if (cell >= 0) this.seen[cell] = 1;
  }
}

export class Game {
  /**
   * @param {import("./rules.js").Rules} rules
   * @param {import("./rules.js").Level} level
   * @param {import("./network.js").Network | null} network of the agent, if there is one
   */
  constructor(rules, level, network) {
    this.you = new Walk(rules, level);
    this.oracle = new Walk(rules, level);
    this.agent = network && new Walk(rules, level);
    this.network = network;
    network?.forget();
    this.thought = this.#think();
    this.distance = distances(level.tiles, rules);
  }

  get isOver() {
    return isOver(this.you.state);
  }

  /**
   * One step of all three; nothing after the end.
   * @param {number} action yours
   */
  move(action) {
    if (this.isOver) return;
    this.you.step(action);
    if (this.thought) this.agent?.step(argmax(this.thought.logits));
    this.oracle.step(oracleAction(this.oracle.state, this.distance));
    const { rules, tiles, lastReward } = this.oracle.state;
    if (lastReward && rules.digSteps) this.distance = distances(tiles, rules);
    this.thought = this.#think();
  }

  /** The agent's attention to each cell, 1 where it is largest; null without an agent. */
  heat() {
    if (!this.agent || !this.thought) return null;
    const heat = new Float64Array(this.agent.seen.length);
    this.thought.attention.forEach((weight, time) => {
      heat[/** @type {Walk} */ (this.agent).cells[time]] += weight;
    });
    const largest = Math.max(...heat);
    return heat.map((each) => each / largest);
  }

  /** What the network says about what the agent sees now. */
  #think() {
    if (!this.agent || !this.network) return null;
    const { state } = this.agent;
    return this.network.step({ ...state, view: view(state) });
  }
}
