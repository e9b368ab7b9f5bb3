// Elements in one call. Strings become text nodes and nothing else: no text of a model is markup.

export const byId = (id) => document.getElementById(id);

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  fill(made, ...children);
  return made;
}

// These are the children of `place` now; null ones are left out.
export function fill(place, ...children) {
  place.replaceChildren(...children.filter((child) => child !== null));
}
