// Calls to the public API. Failures are errors with a `status` and a message for the user.

export const UNREACHABLE = 0; // the status when there is no response

// Template tag for API paths: every value is encoded, so it stays one path segment.
export function path(texts, ...values) {
  return String.raw({raw: texts}, ...values.map(encodeURIComponent));
}

export async function call(method, path, body) {
  const json = body && {headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)};
  let response;
  try {
    response = await fetch(path, {method, ...json});
  } catch {
    throw apiError(UNREACHABLE, {});
  }
  const data = await response.json().catch(() => ({})); // a proxy may respond with HTML
  if (!response.ok) throw apiError(response.status, data, response.headers.get('Retry-After'));
  return data;
}

export function apiError(status, data, retryAfter) {
  return Object.assign(new Error(errorMessage(status, data, retryAfter)), {status});
}

function errorMessage(status, data, retryAfter) {
  if (status === UNREACHABLE) return 'The server cannot be reached at the moment.';
  if (status === 429) return `Too many attempts. Please try again in ${formatDuration(retryAfter)}.`;
  if (data.detail) return data.detail;
  const sentences = Object.entries(data).map(([field, messages]) => fieldPrefix(field) + [].concat(messages).join(' '));
  return sentences.join(' ') || `The server responded with an error (${status}).`;
}

// Messages about these fields name their field themselves.
function fieldPrefix(field) {
  return /password|email|file/.test(field) ? '' : `${field[0].toUpperCase()}${field.slice(1)}: `;
}

export function formatDuration(seconds) {
  const minutes = Math.ceil(seconds / 60);
  return minutes > 90 ? `${Math.round(minutes / 60)} hours` : minutes === 1 ? 'a minute' : `${minutes} minutes`;
}
