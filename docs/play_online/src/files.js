/** Data that comes as classic scripts; see `build.py`. */

import { bytesOf } from "./base85.js";

/** An error whose message is a sentence for the visitor. */
export class Problem extends Error {}

/** @returns {Record<string, any>} what the scripts left */
const data = () => /** @type {any} */ (globalThis).gridmemData;

/**
 * @typedef {import("./rules.js").Rules & { firstLevel: number, hasAgent: boolean }} Id
 * @type {{ ids: Record<string, Id>, sprites: string, font: string }}
 */
export const site = data().site;

/**
 * Reads a file of `data/`.
 * @template T
 * @param {string} name
 * @param {(bytes: Uint8Array) => T} reader throws for a damaged file
 * @returns {Promise<T>}
 * @throws {Problem}
 */
export async function read(name, reader) {
  await run(`data/${name}.js`);
  try {
    return reader(bytesOf(data()[name]));
  } catch (cause) {
    throw new Problem(`The file data/${name}.js is damaged; get the folder of this page again.`, {
      cause,
    });
  }
}

/**
 * @param {string} path of a classic script, which is run
 * @returns {Promise<void>}
 */
function run(path) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = path;
    script.onload = () => resolve();
    script.onerror = () =>
      reject(new Problem(`The file ${path} is missing; get the folder of this page again.`));
    document.head.append(script);
  });
}
