/** The transformer of `gridmem/baselines/model` with the mixer `attention`, one token at a time. */

/**
 * @typedef {object} Observation
 * @property {Uint8Array} view
 * @property {number} lastAction
 * @property {number} lastReward
 *
 * @typedef {object} Output
 * @property {Float64Array} logits of the four actions
 * @property {number} value
 * @property {Float64Array} attention to each token so far, the mean over layers and heads
 *
 * @typedef {{ keys: Float64Array[], values: Float64Array[] }} Memory of a layer: one entry a token
 */

const NUM_ACTIONS = 4;
const NUM_TILES = 5;

/** A network with the memory of one episode. */
export class Network {
  /**
   * @param {import("./safetensors.js").Weights} weights
   * @throws {Error} if it has another mixer
   */
  constructor({ config, tensors }) {
    if (config.model.mixer !== "attention") throw new Error(`the mixer ${config.model.mixer}`);
    this.config = config.model;
    this.tensors = tensors;
    this.forget();
  }

  /** Begins an episode. */
  forget() {
    /** @type {Memory[]} */
    this.memories = Array.from({ length: this.config.num_layers }, () => ({
      keys: [],
      values: [],
    }));
  }

  /**
   * @param {Observation} observation
   * @returns {Output}
   */
  step(observation) {
    const x = this.#embed(observation);
    const time = this.memories[0].keys.length;
    const attention = new Float64Array(time + 1);
    this.memories.forEach((memory, layer) => {
      const name = `blocks.${layer}`;
      add(
        x,
        this.#attend(norm(x, this.tensors[`${name}.mixer_norm.scale`]), memory, name, attention),
      );
      add(x, this.#feedForward(norm(x, this.tensors[`${name}.ff_norm.scale`]), name));
    });
    const features = norm(x, this.tensors["final_norm.scale"]);
    return { logits: this.#logits(features), value: this.#value(features), attention };
  }

  /** @param {Observation} observation */
  #embed({ view, lastAction, lastReward }) {
    const { width } = this.config;
    const x = new Float64Array(width);
    /** @type {(matrix: Float32Array, row: number) => Float32Array} */
    const rowOf = (matrix, row) => matrix.subarray(row * width, (row + 1) * width);
    for (const [cell, tile] of view.entries()) {
      add(x, rowOf(this.tensors.view, cell * NUM_TILES + tile));
    }
    add(x, rowOf(this.tensors.action, lastAction));
    add(
      x,
      this.tensors.reward.map((weight) => weight * lastReward),
    );
    return x;
  }

  /**
   * @param {Float64Array} x
   * @param {Memory} memory takes in this token
   * @param {string} name of the layer
   * @param {Float64Array} attention is added to
   */
  #attend(x, memory, name, attention) {
    const { num_heads, num_kv_heads, head_dim, num_layers } = this.config;
    const time = memory.keys.length;
    const [query, key, value] = ["query", "key", "value"].map((part) =>
      product(x, this.tensors[`${name}.mixer.${part}`]),
    );
    this.#normAndRotate(query, time, this.tensors[`${name}.mixer.query_norm.scale`]);
    this.#normAndRotate(key, time, this.tensors[`${name}.mixer.key_norm.scale`]);
    memory.keys.push(key);
    memory.values.push(value);
    const first = Math.max(0, time + 1 - (this.config.window ?? Number.POSITIVE_INFINITY));
    const attended = new Float64Array(num_heads * head_dim);
    for (let head = 0; head < num_heads; head++) {
      const at = head * head_dim;
      const keyAt = Math.floor((head * num_kv_heads) / num_heads) * head_dim;
      const scores = memory.keys.slice(first).map((key) => {
        let score = 0;
        for (let i = 0; i < head_dim; i++) score += query[at + i] * key[keyAt + i];
        return score / Math.sqrt(head_dim);
      });
      softmax(scores).forEach((weight, slot) => {
        const seen = memory.values[first + slot];
        for (let i = 0; i < head_dim; i++) attended[at + i] += weight * seen[keyAt + i];
        attention[first + slot] += weight / (num_heads * num_layers);
      });
    }
    return product(attended, this.tensors[`${name}.mixer.out`]);
  }

  /**
   * Rotary positions, halves as pairs, after the norm if there is one.
   * @param {Float64Array} heads is changed
   * @param {number} position
   * @param {Float32Array | undefined} scale
   */
  #normAndRotate(heads, position, scale) {
    const { head_dim, rope_base } = this.config;
    const half = head_dim / 2;
    for (let at = 0; at < heads.length; at += head_dim) {
      const head = heads.subarray(at, at + head_dim);
      if (scale) head.set(norm(head, scale));
      for (let i = 0; i < half; i++) {
        const angle = position * rope_base ** (-i / half);
        const [cos, sin, first, second] = [
          Math.cos(angle),
          Math.sin(angle),
          head[i],
          head[i + half],
        ];
        head[i] = first * cos - second * sin;
        head[i + half] = second * cos + first * sin;
      }
    }
  }

  /**
   * @param {Float64Array} x
   * @param {string} name
   */
  #feedForward(x, name) {
    const up = product(x, this.tensors[`${name}.ff.up`]);
    const hidden = product(x, this.tensors[`${name}.ff.gate`]).map((gate, i) => gelu(gate) * up[i]);
    return product(hidden, this.tensors[`${name}.ff.down`]);
  }

  /** @param {Float64Array} features */
  #logits(features) {
    return Float64Array.from({ length: NUM_ACTIONS }, (_, action) =>
      features.reduce(
        (sum, x, i) => sum + x * this.tensors.action[action * features.length + i],
        0,
      ),
    );
  }

  /** @param {Float64Array} features */
  #value(features) {
    const { value_head, value_bins, value_min, value_max } = this.config;
    const bias = this.tensors.value_bias;
    const hidden = product(features, this.tensors.value_in).map((x, i) => gelu(x + bias[i]));
    const outputs = product(hidden, this.tensors.value_out);
    if (value_head === "mse") return outputs[0];
    const binWidth = (value_max - value_min) / value_bins;
    return softmax([...outputs]).reduce(
      (sum, weight, bin) => sum + weight * (value_min + (bin + 0.5) * binWidth),
      0,
    );
  }
}

/**
 * The index of the largest number, the first of several.
 * @param {Float64Array} numbers
 */
export const argmax = (numbers) => numbers.indexOf(Math.max(...numbers));

/**
 * The row x times a matrix of as many rows.
 * @param {Float64Array} x
 * @param {Float32Array} matrix
 */
function product(x, matrix) {
  const columns = matrix.length / x.length;
  const y = new Float64Array(columns);
  for (let row = 0, at = 0; row < x.length; row++) {
    const factor = x[row];
    for (let column = 0; column < columns; column++, at++) y[column] += factor * matrix[at];
  }
  return y;
}

/**
 * @param {Float64Array} x is changed
 * @param {Float64Array | Float32Array} y
 */
function add(x, y) {
  for (let i = 0; i < x.length; i++) x[i] += y[i];
}

/**
 * @param {Float64Array} x
 * @param {Float32Array} scale
 */
function norm(x, scale) {
  const meanSquare = x.reduce((sum, each) => sum + each * each, 0) / x.length;
  return x.map((each, i) => (each * scale[i]) / Math.sqrt(meanSquare + 1e-6));
}

/** @param {number} x */
function gelu(x) {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

/** @param {number[]} scores */
function softmax(scores) {
  const largest = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}
