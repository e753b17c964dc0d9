// Calls to the public API, and what comes of them as people read it.

export const UNREACHABLE = 0; // where a status would be

// A path of the API: what is put in is one part of it, whatever it holds.
export function path(texts, ...values) {
  return String.raw({raw: texts}, ...values.map(encodeURIComponent));
}

export async function call(method, path, body) {
  const json = body && {headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)};
  let answer;
  try {
    answer = await fetch(path, {method, ...json});
  } catch {
    throw problem(UNREACHABLE, {});
  }
  const said = await answer.json().catch(() => ({})); // a proxy in between answers in HTML
  if (!answer.ok) throw problem(answer.status, said, answer.headers.get('Retry-After'));
  return said;
}

export function problem(status, said, wait) {
  return Object.assign(new Error(sentence(status, said, wait)), {status});
}

function sentence(status, said, wait) {
  if (status === UNREACHABLE) return 'The server cannot be reached at the moment.';
  if (status === 429) return `Too many attempts. Please try again in ${duration(wait)}.`;
  if (said.detail) return said.detail;
  const sentences = Object.entries(said).map(([field, words]) => named(field) + [].concat(words).join(' '));
  return sentences.join(' ') || `The server answered with an error (${status}).`;
}

// The sentences about these say themselves what they are about.
function named(field) {
  return /password|email|file/.test(field) ? '' : `${field[0].toUpperCase()}${field.slice(1)}: `;
}

export function duration(seconds) {
  const minutes = Math.ceil(seconds / 60);
  return minutes > 90 ? `${Math.round(minutes / 60)} hours` : minutes === 1 ? 'a minute' : `${minutes} minutes`;
}
