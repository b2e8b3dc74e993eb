/** A cave on the page: keys, taps and buttons, and what is shown. */

import { fillCard, fillResults } from "./card.js";
import { get } from "./dom.js";
import { Panel } from "./panel.js";
import { Results } from "./results.js";
import { count, surroundings } from "./words.js";

/**
 * By the place of a key, the same on all layouts.
 * @type {Record<string, number>}
 */
const ACTION_OF_KEY = {
  ...{ ArrowUp: 0, ArrowRight: 1, ArrowDown: 2, ArrowLeft: 3 },
  ...{ KeyW: 0, KeyD: 1, KeyS: 2, KeyA: 3 },
};
/**
 * @typedef {import("./panel.js").Player} Player
 * @typedef {import("./game.js").Walk} Walk
 */
/** @type {Player} */
const YOU = {
  key: "you",
  name: "You",
  tab: "You",
  about: "Go and find the goal.",
  view: "what you see",
  map: "what you have seen",
  walkIn: (game) => game.you,
};
/** @type {Player} */
const AGENT = {
  key: "agent",
  name: "Trained agent",
  tab: "Agent",
  about: "Sees only its view.",
  view: "what it sees",
  map: "red: past steps it attends to",
  walkIn: (game) => game.agent,
};
/** @type {Player} */
const ORACLE = {
  key: "oracle",
  name: "Oracle",
  tab: "Oracle",
  about: "Knows the whole cave.",
  view: "what it sees",
  map: "what it has seen",
  walkIn: (game) => game.oracle,
};
const PLAYERS = [YOU, AGENT, ORACLE]; // in the order of their colours

export class Page {
  #hideOthers = get("#hide-others", HTMLInputElement);
  #hideMap = get("#hide-map", HTMLInputElement);
  #results = new Results();
  #shown = YOU;
  #attempt = 0; // counted from the first move on
  // Whether they were hidden all the time.
  #othersHidden = false;
  #mapHidden = false;

  /**
   * @param {string} id
   * @param {number} level
   * @param {() => import("./game.js").Game} newGame
   * @param {ImageBitmap} sprites
   */
  constructor(id, level, newGame, sprites) {
    this.id = id;
    this.level = level;
    this.newGame = newGame;
    this.game = newGame();
    const players = PLAYERS.filter((player) => player.walkIn(this.game));
    this.panels = players.map((player) => {
      const panel = new Panel(player, PLAYERS.indexOf(player), sprites);
      panel.tab.onclick = () => this.#choose(player);
      return panel;
    });
    const others = this.game.agent ? "agent and oracle" : "the oracle";
    get("#hide-others-text", HTMLElement).textContent = `Hide ${others} until I am done`;
    get("#game", HTMLElement).hidden = false;
    this.#listen();
    this.#choose(YOU);
    this.#say("");
    this.#showResults();
  }

  /** The episode from its start. */
  restart() {
    this.game = this.newGame();
    this.#attempt = 0;
    this.#show();
    this.#say("");
  }

  /** @param {number} action */
  move(action) {
    const { you } = this.game;
    if (this.game.isOver) return;
    if (!this.#attempt) this.#attempt = this.#results.begin(this.id, this.level);
    const { position: before, busy: wasBusy } = you.state;
    this.game.move(action);
    if (this.game.isOver) this.#keepResult();
    this.#show();
    const { lastReward, busy, position } = you.state;
    const steps = count(you.trips.at(-1) ?? 0, "step");
    if (lastReward) this.#say(`Found in ${steps}! You are elsewhere in the same cave.`);
    else if (busy) this.#say(`Digging for ${count(busy, "more step")}.`);
    else if (wasBusy) this.#say("The rock is gone.");
    else this.#say(position === before ? "That way is blocked." : "");
    if (this.game.isOver) get("#card-title", HTMLElement).focus();
  }

  #listen() {
    document.addEventListener("keydown", (event) => this.#press(event));
    for (const button of document.querySelectorAll("#pad button")) {
      const action = Number(button.getAttribute("data-action"));
      button.addEventListener("click", () => this.move(action));
    }
    get("#you .view", HTMLElement).onclick = (event) => {
      const { width, height } = /** @type {Element} */ (event.target).getBoundingClientRect();
      const [right, down] = [event.offsetX - width / 2, event.offsetY - height / 2];
      const cell = width / this.game.you.state.rules.viewSize;
      if (Math.max(Math.abs(right), Math.abs(down)) < cell / 2) return; // a tap on yourself
      if (Math.abs(right) > Math.abs(down)) this.move(right > 0 ? 1 : 3);
      else this.move(down > 0 ? 2 : 0);
    };
    get("#again", HTMLElement).onclick = () => this.restart();
    this.#hideOthers.onchange = this.#hideMap.onchange = () => this.#show();
    get("#clear", HTMLElement).onclick = () => {
      if (!confirm("Delete all results that this browser keeps? This cannot be undone.")) return;
      this.#results.clear();
      this.#showResults();
    };
    get("#export", HTMLElement).onclick = () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([this.#results.csv()], { type: "text/csv" }));
      link.download = "gridmem-results.csv";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // a download may begin later
    };
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target instanceof HTMLSelectElement) return; // the keys choose an option
    const action = ACTION_OF_KEY[event.code];
    // The letter that is typed; of other alphabets, that of the key's place.
    const letter = /^[a-z]$/i.test(event.key) ? event.key.toUpperCase() : event.code.slice(-1);
    if (action !== undefined && !this.game.isOver) {
      event.preventDefault(); // of arrows: scrolling
      this.move(action);
    } else if (letter === "R") this.restart();
    else if (letter === "N") get("#next", HTMLAnchorElement).click();
  }

  /** @param {Player} player whom a narrow page shows */
  #choose(player) {
    this.#shown = player;
    this.#show();
  }

  #keepResult() {
    const { you, agent, oracle } = this.game;
    this.#results.add({
      date: new Date().toISOString(),
      id: this.id,
      level: this.level,
      attempt: this.#attempt,
      othersHidden: this.#othersHidden,
      mapHidden: this.#mapHidden,
      maxSteps: you.state.rules.maxSteps,
      finds: you.trips.length,
      agentFinds: agent?.trips.length ?? null,
      oracleFinds: oracle.trips.length,
      trips: you.trips,
    });
    this.#showResults();
  }

  #show() {
    const { game, panels } = this;
    const { time, rules } = game.you.state;
    if (!game.isOver) {
      // Before the first step there is nothing to learn from the others.
      this.#othersHidden = (time === 0 || this.#othersHidden) && this.#hideOthers.checked;
      this.#mapHidden = (time === 0 || this.#mapHidden) && this.#hideMap.checked;
    }
    for (const panel of panels) {
      const { player } = panel;
      const isYou = player === YOU;
      panel.select(player === this.#shown);
      panel.show(/** @type {Walk} */ (player.walkIn(game)), {
        isCovered: !isYou && this.#hideOthers.checked && !game.isOver,
        hasMap: !isYou || !this.#hideMap.checked || game.isOver,
        isRevealed: game.isOver,
        heat: player === AGENT ? game.heat() : null,
        further: player === AGENT ? { value: game.thought?.value.toFixed(2) ?? "" } : {},
      });
    }
    const progress = get("#progress", HTMLProgressElement);
    [progress.max, progress.value] = [rules.maxSteps, time];
    get("#steps", HTMLElement).textContent = `step ${time} of ${rules.maxSteps}`;
    get("#card", HTMLElement).hidden = !game.isOver;
    get("#pad", HTMLElement).hidden = game.isOver;
    if (game.isOver) this.#showCard();
  }

  #showResults() {
    get("#results", HTMLElement).hidden = this.#results.rows.length === 0;
    fillResults(get("#rows", HTMLElement), this.#results.rows);
  }

  #showCard() {
    const rows = this.panels.map(({ player }) => ({
      name: player.tab,
      colour: `var(--${player.key})`,
      walk: /** @type {Walk} */ (player.walkIn(this.game)),
    }));
    const [yours, ...others] = rows.map(({ name, walk }) => [
      name.toLowerCase(),
      walk.trips.length,
    ]);
    get("#card-title", HTMLElement).textContent =
      `You found the goal ${count(Number(yours[1]), "time")}, ` +
      `${others.map(([name, finds]) => `the ${name} ${finds}`).join(", ")}.`;
    fillCard(get("#timelines", HTMLElement), get("#trips", HTMLElement), rows);
  }

  /** @param {string} text for all; what is around you is added for screen readers */
  #say(text) {
    const { you, isOver } = this.game;
    const message = isOver ? "The episode is over." : text;
    get("#message", HTMLElement).textContent = message || this.#results.problem;
    get("#spoken", HTMLElement).textContent = `${message} ${surroundings(you.state)}`;
  }
}
