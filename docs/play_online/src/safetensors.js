/**
 * Reads the weights of an agent; the format is described in docs/agents.md. In the files of the page
 * a matrix may be int8, with a scale for each of its columns in a tensor of its own.
 */

/**
 * @typedef {object} Weights
 * @property {any} config the configuration of the run
 * @property {Record<string, Float32Array>} tensors
 */

const READERS = { F32: readFloat32, F16: readFloat16, I8: readInt8 };
const BYTES = { F32: 4, F16: 2, I8: 1 };
const SCALE = "/scale";

/**
 * @param {Uint8Array} bytes
 * @returns {Weights}
 * @throws {Error} if this is no file of an agent, or a damaged one
 */
export function readWeights(bytes) {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const begin = 8 + Number(data.getBigUint64(0, true));
  const { __metadata__: metadata, ...header } = JSON.parse(
    new TextDecoder().decode(bytes.subarray(8, begin)),
  );
  if (metadata?.format !== "gridmem-agent-1") throw new Error("no agent of GridMem");
  /** @type {Record<string, Float32Array>} */
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    const [first, end] = data_offsets;
    const type = /** @type {keyof typeof READERS} */ (dtype);
    const length = shape.reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, 1);
    if (!READERS[type] || end - first !== length * BYTES[type]) throw new Error(`bad ${name}`);
    tensors[name] = Float32Array.from({ length }, (_, i) =>
      READERS[type](data, begin + first + i * BYTES[type]),
    );
    if (!tensors[name].every(Number.isFinite)) throw new Error(`${name} is not finite`);
  }
  for (const name of Object.keys(tensors).filter((each) => header[each].dtype === "I8")) {
    const [columns, scale] = [header[name].shape.at(-1), tensors[name + SCALE]];
    if (scale?.length !== columns) throw new Error(`bad ${name}${SCALE}`);
    tensors[name] = tensors[name].map((each, i) => each * scale[i % columns]);
    delete tensors[name + SCALE];
  }
  return { config: JSON.parse(metadata.config), tensors };
}

/**
 * @param {DataView} data
 * @param {number} at
 */
function readFloat32(data, at) {
  return data.getFloat32(at, true);
}

/**
 * @param {DataView} data
 * @param {number} at
 */
function readInt8(data, at) {
  return data.getInt8(at);
}

/**
 * @param {DataView} data
 * @param {number} at
 */
function readFloat16(data, at) {
  const bits = data.getUint16(at, true);
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}
