// What the page's own code makes of given episodes: a function of its parts and a job.
// Results are flat lists in the order of episodes and steps.
(gridmem, job) => {
  const out = {};
  const note = (name, ...values) => (out[name] ??= []).push(...values);

  // A sum in which every tile counts differently, modulo 2**32.
  const checksum = (tiles) =>
    tiles.reduce((sum, tile, i) => (sum + Math.imul(tile, Math.imul(i + 1, 2654435761))) >>> 0, 0);

  const noteState = (state) => {
    note("position", state.position);
    note("busy", state.busy);
    note("visits", state.visits);
    note("last_action", state.lastAction);
    note("last_reward", state.lastReward);
    note("time", state.time);
    note("truncated", state.time >= state.rules.maxSteps ? 1 : 0);
    note("tiles", checksum(state.tiles));
    note("view", ...gridmem.view(state));
  };

  const playRules = (level, actions) => {
    const state = gridmem.start(job.rules, level);
    let distance = gridmem.distances(state.tiles, job.rules);
    note("distance", ...distance);
    noteState(state);
    for (const action of actions) {
      note("advice", gridmem.oracleAction(state, distance));
      gridmem.step(state, action);
      if (state.lastReward) distance = gridmem.distances(state.tiles, job.rules);
      noteState(state);
    }
    const game = new gridmem.Game(job.rules, level, null);
    for (const action of actions) game.move(action);
    note("you", ...game.you.cells);
    note("oracle", ...game.oracle.cells);
  };

  const playNetwork = (network, level, actions) => {
    const state = gridmem.start(job.rules, level);
    network.forget();
    for (const action of actions) {
      const { logits, value, attention } = network.step({ ...state, view: gridmem.view(state) });
      note("logits", ...logits);
      note("value", value);
      note("action", gridmem.argmax(logits));
      note("attention", ...attention, ...new Array(actions.length - attention.length).fill(0));
      gridmem.step(state, action);
    }
  };

  const levels = gridmem.readLevels(gridmem.bytesOf(job.levels), job.rules);
  const network = job.agent && new gridmem.Network(gridmem.readWeights(gridmem.bytesOf(job.agent)));
  for (const [number, actions] of job.episodes) {
    if (network) playNetwork(network, levels.get(number), actions);
    else playRules(levels.get(number), actions);
  }
  return out;
};
