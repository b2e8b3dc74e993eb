/** Elements of the page. */

/**
 * @template {HTMLElement} T
 * @param {string} selector
 * @param {new () => T} type
 * @param {ParentNode} [inside]
 */
export function get(selector, type, inside = document) {
  const found = inside.querySelector(selector);
  if (!(found instanceof type)) throw new Error(`the page has no ${selector}`);
  return found;
}

/**
 * A new element.
 * @param {string} name
 * @param {(Node | string)[]} children
 */
export function tag(name, ...children) {
  const element = document.createElement(name);
  element.append(...children);
  return element;
}
