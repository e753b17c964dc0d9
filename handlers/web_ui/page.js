// A minimal frontend: sign in, list, watch and upload videos. It uses the public API only.
// The fragment of the address is the route: #video/3, #register, #reset/<uid>/<token>.

import * as accounts from './accounts.js';
import {UNREACHABLE, call} from './api.js';
import {element, showMessage, showView} from './dom.js';
import * as jobs from './jobs.js';
import * as player from './player.js';
import * as videos from './videos.js';

const POLL_INTERVAL_MS = 3000;
let timer;
let wasUnreachable = false; // whether the last refresh could not reach the server

async function navigate() {
  clearTimeout(timer);
  player.leave();
  showMessage('');
  document.title = 'Videoflix';
  const [route, ...parts] = location.hash.slice(1).replace(/\/$/, '').split('/');
  if (accounts.ROUTES.has(route)) return accounts.ROUTES.get(route)(...parts);
  const me = await call('GET', '/api/me/');
  const isVideo = route === 'video' || route === 'film'; // #film/ is in old bookmarks
  if (isVideo && /^\d{1,15}$/.test(parts[0])) return player.watch(parts[0], me.is_admin);
  showView('videos', 'search', 'sign-out', ...(me.is_admin ? ['jobs'] : []));
  document.querySelector('main').focus();
  await refresh();
}

// Update the lists; repeat while something is expected to change and the lists are shown.
async function refresh() {
  clearTimeout(timer);
  let isWaiting = true;
  try {
    isWaiting = !await videos.list();
    if (!element('jobs').hidden) isWaiting = await jobs.refreshJobs() || isWaiting;
    if (wasUnreachable) showMessage('');
    wasUnreachable = false;
  } finally {
    clearTimeout(timer); // of a refresh that started in the meantime
    if (isWaiting) timer = setTimeout(() => { if (!element('videos').hidden) refresh(); }, POLL_INTERVAL_MS);
  }
}

// Failed calls from anywhere on the page.
addEventListener('unhandledrejection', async event => {
  const {status, message} = event.reason;
  if (status === undefined) return; // a bug in this page: leave it to the console
  event.preventDefault();
  const wasSignedIn = !element('sign-out').hidden;
  if (status === 401) {
    player.leave();
    accounts.showForm('sign-in');
    showMessage(wasSignedIn ? 'You have been signed out. Please sign in again.' : '');
  } else if (status === 404) {
    location.replace('#');
    await navigate();
    showMessage('This video no longer exists.');
  } else {
    wasUnreachable = status === UNREACHABLE;
    showMessage(message);
  }
});

element('sign-out').onclick = async () => {
  await call('POST', '/api/logout/').catch(error => { if (error.status !== 400) throw error; }); // 400: already signed out
  element('sign-out').hidden = true;
  history.replaceState(null, '', '#');
  await navigate();
};
element('search').oninput = videos.list;
addEventListener('signed-in', navigate);
addEventListener('videos-changed', refresh);
addEventListener('hashchange', navigate);
navigate();
