// Helpers for the elements of the page.

export const element = id => document.getElementById(id);

const VIEWS = ['sign-in', 'register', 'forgot', 'reset', 'player', 'jobs', 'videos', 'search', 'sign-out'];

// Show these parts of the page and hide all others.
export function showView(...ids) {
  for (const id of VIEWS) element(id).hidden = !ids.includes(id);
}

export function showMessage(text) {
  if (element('message').textContent !== text) element('message').textContent = text;
}

export function createElement(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

// Replace the children only if they differ: a node that is inserted again loses the focus and a click in progress.
export function setChildren(parent, nodes) {
  const isSame = nodes.length === parent.children.length && nodes.every((node, index) => node === parent.children[index]);
  if (!isSame) parent.replaceChildren(...nodes);
}
