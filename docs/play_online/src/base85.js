/** Bytes in the characters that Python's `base64.b85encode` gives: five for each four bytes. */

const CHARACTERS =
  "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
const DIGITS = new Map([...CHARACTERS].map((each, i) => [each.charCodeAt(0), i]));

/**
 * @param {string} text
 * @returns {Uint8Array<ArrayBuffer>}
 * @throws {Error} for another character
 */
export function bytesOf(text) {
  const groups = new DataView(new ArrayBuffer(Math.ceil(text.length / 5) * 4));
  for (let group = 0; group * 4 < groups.byteLength; group++) {
    let value = 0;
    for (let i = group * 5; i < group * 5 + 5; i++) {
      const digit = i < text.length ? DIGITS.get(text.charCodeAt(i)) : 84;
      if (digit === undefined) throw new Error(`${text[i]} is no digit of base 85`);
      value = value * 85 + digit;
    }
    groups.setUint32(group * 4, value);
  }
  return new Uint8Array(groups.buffer, 0, Math.floor((text.length * 4) / 5));
}
