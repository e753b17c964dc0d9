// Watch one video. Playback resumes after the server was unreachable for a while.

import {UNREACHABLE, call, path} from './api.js';
import {element, showMessage, showView} from './dom.js';
import {thumbnailUrl} from './videos.js';

const media = document.querySelector('video');
const REPORT_INTERVAL_MS = 5000; // between two reports of the position
const RETRY_DELAY_MS = 1500; // before a player that failed tries again, which gives a busy server some time
const MAX_FAILURES = 5;

let current = null; // the video that is open
let failures = 0; // of the player since it last played

export async function watch(id, isAdmin) {
  current = await call('GET', path`/api/video/${id}/`);
  failures = 0;
  showView('player', 'sign-out');
  showDetails();
  element('delete').hidden = element('edit').hidden = !isAdmin;
  element('edit').open = false;
  media.poster = thumbnailUrl(current);
  media.focus(); // so that the keyboard controls the player
  if (!current.playable) {
    showMessage(current.status === 'failed' ? 'This video could not be processed.' : 'This video is not ready to watch yet.');
  } else if (media.canPlayType('application/vnd.apple.mpegurl')) {
    const {progress} = current;
    await play(progress && !progress.finished ? progress.position : 0);
  } else {
    const {master_url} = await call('GET', path`/api/video/${id}/playback/`);
    showMessage(`This browser cannot play HLS. Open this address in VLC or another player: ${master_url}`);
  }
}

export function leave() {
  reportPosition();
  current = null;
  media.removeAttribute('src');
  media.load();
}

export async function deleteVideo(video) {
  if (!confirm(`Delete “${video.title}” and all of its files?`)) return false;
  await call('DELETE', path`/api/admin/videos/${video.id}/`);
  return true;
}

function showDetails() {
  document.title = `${current.title} – Videoflix`;
  element('video-title').textContent = current.title;
  document.querySelector('#player p').textContent = current.description;
  for (const field of ['title', 'category', 'description']) document.querySelector('#edit form')[field].value = current[field];
}

async function play(position) {
  media.src = path`/media/hls/${current.id}/master.m3u8`;
  if (position) media.currentTime = position;
  await media.play().catch(() => {}); // a browser may require a click first
}

// Native players give up when a segment does not arrive in time, and do not say why: ask the server, then try again.
async function recover() {
  const video = current, position = media.currentTime;
  failures += 1;
  try {
    await call('GET', path`/api/video/${video.id}/`);
    showMessage(failures < MAX_FAILURES ? 'One moment, the server is busy.' : 'This video cannot be played at the moment.');
  } catch (error) {
    if (![UNREACHABLE, 502, 503, 504].includes(error.status)) throw error;
    failures = 0;
    showMessage('The server cannot be reached at the moment. Playback resumes when it is back.');
  }
  if (failures < MAX_FAILURES) setTimeout(() => { if (current === video) play(position); }, RETRY_DELAY_MS);
}

function onPlaying() {
  showMessage('');
  failures = 0;
}

// `keepalive` lets a report finish after the page is closed. A lost one is made up for by the next.
function reportPosition() {
  if (!current || !media.currentTime) return;
  fetch(path`/api/video/${current.id}/progress/`, {
    method: 'PUT', keepalive: true,
    headers: {'Content-Type': 'application/json'}, body: JSON.stringify({position: media.currentTime}),
  }).catch(() => {});
}

element('close').onclick = () => { location.hash = ''; };
element('delete').onclick = async () => { if (await deleteVideo(current)) location.hash = ''; };
document.querySelector('#edit form').onsubmit = async event => {
  event.preventDefault();
  const fields = Object.fromEntries(new FormData(event.target));
  Object.assign(current, await call('PATCH', path`/api/admin/videos/${current.id}/`, fields));
  showDetails();
  element('edit').open = false;
  showMessage('Saved.');
};
media.onerror = () => { if (current && media.getAttribute('src')) recover(); };
media.onplaying = onPlaying;
media.onpause = reportPosition;
addEventListener('pagehide', reportPosition);
setInterval(() => { if (!media.paused) reportPosition(); }, REPORT_INTERVAL_MS);
