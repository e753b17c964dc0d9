// Watching one film, also while the server is away for a while.

import {UNREACHABLE, call, path} from './api.js';
import {element, show, tell} from './dom.js';
import {picture} from './films.js';

const video = document.querySelector('video');
const REPORT = 5000; // milliseconds between two reports of how far one has watched
const TRY_AGAIN = 1500; // milliseconds until a player that gave up is asked again, which a busy server may need
const TRIES = 5;

let watched = null; // the film that is open
let failures = 0; // of the player, since it last played

export async function watch(id, isAdmin) {
  watched = await call('GET', path`/api/video/${id}/`);
  failures = 0;
  show('player', 'sign-out');
  describe();
  element('delete').hidden = element('edit').hidden = !isAdmin;
  element('edit').open = false;
  video.poster = picture(watched);
  video.focus(); // for the keys of a player
  if (!watched.playable) {
    tell(watched.status === 'failed' ? 'This film could not be made.' : 'This film cannot be watched yet.');
  } else if (video.canPlayType('application/vnd.apple.mpegurl')) {
    const {progress} = watched;
    await play(progress && !progress.finished ? progress.position : 0);
  } else {
    const {master_url} = await call('GET', path`/api/video/${id}/playback/`);
    tell(`This browser plays no HLS by itself. Open this address in VLC or another player: ${master_url}`);
  }
}

export function leave() {
  report();
  watched = null;
  video.removeAttribute('src');
  video.load();
}

export async function remove(film) {
  if (!confirm(`Delete “${film.title}” and all of its files?`)) return false;
  await call('DELETE', path`/api/admin/videos/${film.id}/`);
  return true;
}

function describe() {
  document.title = `${watched.title} – Videoflix`;
  element('film-title').textContent = watched.title;
  document.querySelector('#player p').textContent = watched.description;
  for (const field of ['title', 'category', 'description']) document.querySelector('#edit form')[field].value = watched[field];
}

async function play(position) {
  video.src = path`/media/hls/${watched.id}/master.m3u8`;
  if (position) video.currentTime = position;
  await video.play().catch(() => {}); // a browser may want a click first
}

// A browser's own player gives up when a segment is not there in time, and does not say why: ask.
async function again() {
  const film = watched, position = video.currentTime;
  failures += 1;
  try {
    await call('GET', path`/api/video/${film.id}/`);
    tell(failures < TRIES ? 'One moment, the server is busy.' : 'This film cannot be played at the moment.');
  } catch (error) {
    if (![UNREACHABLE, 502, 503, 504].includes(error.status)) throw error;
    failures = 0;
    tell('The server cannot be reached at the moment. The film goes on when it is back.');
  }
  if (failures < TRIES) setTimeout(() => { if (watched === film) play(position); }, TRY_AGAIN);
}

function playing() {
  tell('');
  failures = 0;
}

// Also while the page is closed. One that is lost is made up for by the next.
function report() {
  if (!watched || !video.currentTime) return;
  fetch(path`/api/video/${watched.id}/progress/`, {
    method: 'PUT', keepalive: true,
    headers: {'Content-Type': 'application/json'}, body: JSON.stringify({position: video.currentTime}),
  }).catch(() => {});
}

element('close').onclick = () => { location.hash = ''; };
element('delete').onclick = async () => { if (await remove(watched)) location.hash = ''; };
document.querySelector('#edit form').onsubmit = async event => {
  event.preventDefault();
  const texts = Object.fromEntries(new FormData(event.target));
  Object.assign(watched, await call('PATCH', path`/api/admin/videos/${watched.id}/`, texts));
  describe();
  element('edit').open = false;
  tell('Saved.');
};
video.onerror = () => { if (watched && video.getAttribute('src')) again(); };
video.onplaying = playing;
video.onpause = report;
addEventListener('pagehide', report);
setInterval(() => { if (!video.paused) report(); }, REPORT);
