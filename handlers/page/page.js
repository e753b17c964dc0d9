// What a newcomer needs: sign in, see the films, watch one, put one in. It uses nothing but the public API.
'use strict';

const element = id => document.getElementById(id);
const video = document.querySelector('video');
const REPORT = 5000; // milliseconds between two reports of how far one has watched
const LOOK = 1500; // milliseconds between two looks at films in work
const TRY_AGAIN = 1500; // milliseconds until a player that gave up is asked again, which a busy server may need
const TRIES = 5;

let watched = null; // the video that is open
let failures = 0; // of the player, since it last played

async function call(method, path, body) {
  const json = body && {headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)};
  const answer = await fetch(path, {method, ...json});
  const said = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(sentence(said)), {status: answer.status});
  return said;
}

function sentence(said) {
  return said.detail || Object.entries(said).map(([field, words]) => `${field}: ${[].concat(words).join(' ')}`).join(' ');
}

function tell(text) {
  element('told').textContent = text;
  element('told').hidden = !text;
}

function show(...ids) {
  for (const id of ['sign-in', 'player', 'films', 'upload', 'search', 'sign-out']) element(id).hidden = !ids.includes(id);
}

// Only when they are others than before: whatever is put in anew loses the focus, and a click that has begun.
function arrange(place, nodes) {
  const same = nodes.length === place.children.length && nodes.every((node, at) => node === place.children[at]);
  if (!same) place.replaceChildren(...nodes);
}

function attempt(step) {
  return () => step().catch(error => tell(error.message));
}

function make(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// The films ------------------------------------------------------------------------------------------------

async function open() {
  try {
    const me = await call('GET', '/api/me/');
    show('films', 'search', 'sign-out', ...(me.is_admin ? ['upload'] : []));
    element('delete').hidden = !me.is_admin;
    await list();
    if (me.is_admin) await follow();
  } catch (error) {
    if (error.status !== 401) tell(error.message);
    show('sign-in');
  }
}

async function list() {
  const words = element('search').value.trim();
  const found = await call('GET', '/api/video/' + (words ? `?search=${encodeURIComponent(words)}` : ''));
  if (words !== element('search').value.trim()) return; // the answer to what was typed since comes, too
  arrange(element('films'), found.map(card));
  if (found.length) return;
  element('films').replaceChildren(make('p', {className: 'hint', textContent: words ? 'Nothing found.' : 'There are no films yet.'}));
  if (!words) later(list);
}

// Once more in a moment, unless the films are left meanwhile.
function later(step) {
  clearTimeout(step.timer);
  step.timer = setTimeout(() => {
    if (!element('films').hidden) attempt(step)();
  }, LOOK);
}

function card(film) {
  const id = `film-${film.id}`;
  const made = element(id) ?? make('button', {id},
    make('img', {src: picture(film), alt: '', loading: 'lazy'}), make('h2'), make('p', {className: 'category'}));
  made.onclick = attempt(() => watch(film));
  made.querySelector('h2').textContent = film.title;
  made.querySelector('p').textContent = film.category;
  return made;
}

// Not the absolute address, which may have another host than this page; `version` makes a browser look again.
function picture(film, version) {
  return `/media/thumbnails/${film.id}.jpg${version ? `?${version}` : ''}`;
}

// Watching -------------------------------------------------------------------------------------------------

async function watch(film) {
  const {progress} = await call('GET', `/api/video/${film.id}/`);
  watched = film;
  show('player', 'sign-out');
  tell('');
  document.querySelector('#player h2').textContent = film.title;
  document.querySelector('#player p').textContent = film.description;
  video.poster = picture(film);
  failures = 0;
  if (video.canPlayType('application/vnd.apple.mpegurl')) {
    await play(progress && !progress.finished ? progress.position : 0);
  } else {
    const {master_url} = await call('GET', `/api/video/${film.id}/playback/`);
    tell(`This browser plays no HLS by itself. Open this address in VLC or another player: ${master_url}`);
  }
}

async function play(position) {
  video.src = `/media/hls/${watched.id}/master.m3u8`;
  if (position) video.currentTime = position;
  await video.play().catch(() => {}); // a browser may want a click first
}

// A browser's own player gives up when a segment is not there in time.
function again() {
  if (!watched) return;
  failures += 1;
  tell(failures < TRIES ? 'One moment, the server is busy.' : 'This film cannot be played at the moment.');
  const [film, position] = [watched, video.currentTime];
  if (failures < TRIES) setTimeout(() => { if (watched === film) play(position); }, TRY_AGAIN);
}

function playing() {
  if (failures) tell('');
  failures = 0;
}

async function report() {
  if (!watched || video.paused || !video.currentTime) return;
  await call('PUT', `/api/video/${watched.id}/progress/`, {position: video.currentTime}).catch(error => tell(error.message));
}

async function remove(film) {
  if (!confirm(`Delete “${film.title}” and all of its files?`)) return false;
  await call('DELETE', `/api/admin/videos/${film.id}/`);
  return true;
}

async function close() {
  watched = null;
  tell('');
  video.removeAttribute('src');
  video.load();
  await open();
}

// Putting films in -----------------------------------------------------------------------------------------

async function upload(event) {
  event.preventDefault();
  await open(); // a GET renews a sign-in that a page had for long, which a POST does not
  const form = event.target, bar = form.querySelector('progress'), request = new XMLHttpRequest();
  const sender = form.querySelector('button');
  const fields = new FormData();
  for (const name of ['title', 'category']) if (form[name].value.trim()) fields.append(name, form[name].value);
  fields.append('file', form.file.files[0]);
  request.upload.onprogress = sent => { bar.value = 100 * sent.loaded / sent.total; };
  request.onloadend = () => {
    bar.hidden = true;
    sender.disabled = false;
    const said = request.responseText ? JSON.parse(request.responseText) : {detail: 'The connection was lost.'};
    tell(request.status === 201 ? '' : sentence(said));
    if (request.status === 201) form.reset();
    attempt(follow)();
  };
  request.open('POST', '/api/admin/videos/');
  bar.hidden = false;
  sender.disabled = true; // the same film does not come twice
  request.send(fields);
}

async function follow() {
  const films = (await call('GET', '/api/admin/videos/')).filter(film => film.status !== 'ready' || film.warning);
  arrange(element('work'), films.map(entry));
  const inWork = films.filter(film => film.status === 'processing');
  if (!inWork.length) return;
  later(follow);
  await list();
  for (const film of inWork) {
    const shown = document.querySelector(`#film-${film.id} img`);
    if (shown) shown.src = picture(film, film.progress); // a placeholder until there is one
  }
}

function entry(film) {
  const id = `work-${film.id}`;
  const made = element(id) ?? make('li', {id}, make('span'),
    button('Try again', () => call('POST', `/api/admin/videos/${film.id}/retry/`)),
    button('Delete', () => remove(film)));
  made.firstChild.textContent = state(film);
  made.children[1].hidden = film.status !== 'failed';
  return made;
}

function button(textContent, step) {
  const onclick = attempt(async () => { await step(); await follow(); await list(); });
  return make('button', {type: 'button', textContent, onclick});
}

function state(film) {
  if (film.status === 'failed') return `“${film.title}” failed: ${film.error}`;
  if (film.status === 'ready') return `“${film.title}” is ready. ${film.warning}`;
  const said = [`“${film.title}”: ${film.progress} %`];
  if (film.waits_for) said.push(`waits for ${film.waits_for}`);
  else if (film.seconds_left) said.push(left(film.seconds_left));
  if (film.playable) said.push('can be watched already');
  return `${said.join(', ')}. ${film.warning ?? ''}`;
}

function left(seconds) {
  const minutes = Math.ceil(seconds / 60);
  return minutes > 90 ? `about ${Math.round(minutes / 60)} hours left` : `about ${minutes} min left`;
}

// ----------------------------------------------------------------------------------------------------------

element('sign-in').onsubmit = async event => {
  event.preventDefault();
  const {email, password} = event.target;
  tell('');
  try {
    await call('POST', '/api/login/', {email: email.value, password: password.value});
    event.target.reset();
    await open();
  } catch (error) {
    tell(error.message);
  }
};
element('sign-out').onclick = async () => {
  await attempt(() => call('POST', '/api/logout/'))();
  await close();
};
element('delete').onclick = attempt(async () => { if (await remove(watched)) await close(); });
element('upload').onsubmit = upload;
element('close').onclick = close;
element('search').oninput = attempt(list);
video.onerror = () => { if (video.getAttribute('src')) again(); };
video.onplaying = playing;
setInterval(report, REPORT);
open();
