// The little that every part of the page does with its elements.

export const element = id => document.getElementById(id);

const VIEWS = ['sign-in', 'register', 'forgot', 'reset', 'player', 'work', 'films', 'search', 'sign-out'];

export function show(...ids) {
  for (const id of VIEWS) element(id).hidden = !ids.includes(id);
}

export function tell(text) {
  if (element('told').textContent !== text) element('told').textContent = text;
}

export function make(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// Only when they are others than before: whatever is put in anew loses the focus, and a click that has begun.
export function arrange(place, nodes) {
  const same = nodes.length === place.children.length && nodes.every((node, at) => node === place.children[at]);
  if (!same) place.replaceChildren(...nodes);
}
