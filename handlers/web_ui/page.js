// What a newcomer needs: sign in, see the films, watch one, put one in. It uses nothing but the public API.
// The address says where one is: #film/3, #register, #reset/<uid>/<token>.

import * as accounts from './accounts.js';
import {UNREACHABLE, call} from './api.js';
import {element, show, tell} from './dom.js';
import * as films from './films.js';
import * as player from './player.js';
import * as work from './work.js';

const LOOK = 3000; // milliseconds between two looks at films in work
let timer;
let isAway = false; // the server, when it was last looked for

async function go() {
  clearTimeout(timer);
  player.leave();
  tell('');
  document.title = 'Videoflix';
  const [place, ...rest] = location.hash.slice(1).replace(/\/$/, '').split('/');
  if (accounts.PLACES.has(place)) return accounts.PLACES.get(place)(...rest);
  const me = await call('GET', '/api/me/');
  if (place === 'film' && /^\d{1,15}$/.test(rest[0])) return player.watch(rest[0], me.is_admin);
  show('films', 'search', 'sign-out', ...(me.is_admin ? ['work'] : []));
  document.querySelector('main').focus();
  await refresh();
}

// Again in a moment while there is something to wait for, unless the films are left meanwhile.
async function refresh() {
  clearTimeout(timer);
  let isWaiting = true;
  try {
    isWaiting = !await films.list();
    if (!element('work').hidden) isWaiting = await work.follow() || isWaiting;
    if (isAway) tell('');
    isAway = false;
  } finally {
    clearTimeout(timer); // of one that began meanwhile
    if (isWaiting) timer = setTimeout(() => { if (!element('films').hidden) refresh(); }, LOOK);
  }
}

// Whatever a call did not do, wherever it was asked for.
addEventListener('unhandledrejection', async event => {
  const {status, message} = event.reason;
  if (status === undefined) return; // an error of this page, for the console
  event.preventDefault();
  const wasIn = !element('sign-out').hidden;
  if (status === 401) {
    player.leave();
    accounts.present('sign-in');
    tell(wasIn ? 'You have been signed out. Please sign in again.' : '');
  } else if (status === 404) {
    location.replace('#');
    await go();
    tell('This film is not there any more.');
  } else {
    isAway = status === UNREACHABLE;
    tell(message);
  }
});

element('sign-out').onclick = async () => {
  await call('POST', '/api/logout/').catch(error => { if (error.status !== 400) throw error; }); // is signed out
  element('sign-out').hidden = true;
  history.replaceState(null, '', '#');
  await go();
};
element('search').oninput = films.list;
addEventListener('signed-in', go);
addEventListener('films-changed', refresh);
addEventListener('hashchange', go);
go();
