// What a newcomer needs: sign in, see the films, watch one, put one in. It uses nothing but the public API.
'use strict';

const element = id => document.getElementById(id);
const video = document.querySelector('video');
const REPORT = 5000; // milliseconds between two reports of how far one has watched
const LOOK = 1500; // milliseconds between two looks at films in work

let watched = null; // the video that is open

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
  element('films').replaceChildren(...found.map(card));
  if (found.length) return;
  element('films').append(make('p', {className: 'hint', textContent: words ? 'Nothing found.' : 'There are no films yet.'}));
  if (!words) later(list);
}

// Once more in a moment, unless the films are left meanwhile.
function later(step) {
  clearTimeout(step.timer);
  step.timer = setTimeout(() => {
    if (!element('films').hidden) step().catch(error => tell(error.message));
  }, LOOK);
}

function card(film) {
  return make('button', {onclick: () => watch(film).catch(error => tell(error.message))},
    make('img', {src: film.thumbnail_url, alt: '', loading: 'lazy'}),
    make('h2', {textContent: film.title}),
    make('p', {className: 'category', textContent: film.category}));
}

// Watching -------------------------------------------------------------------------------------------------

async function watch(film) {
  const {progress} = await call('GET', `/api/video/${film.id}/`);
  watched = film;
  show('player', 'sign-out');
  tell('');
  document.querySelector('#player h2').textContent = film.title;
  document.querySelector('#player p').textContent = film.description;
  if (video.canPlayType('application/vnd.apple.mpegurl')) {
    video.src = `/media/hls/${film.id}/master.m3u8`;
    if (progress && !progress.finished) video.currentTime = progress.position;
    await video.play().catch(() => {}); // a browser may want a click first
  } else {
    const {master_url} = await call('GET', `/api/video/${film.id}/playback/`);
    tell(`This browser plays no HLS by itself. Open this address in VLC or another player: ${master_url}`);
  }
}

async function report() {
  if (!watched || video.paused || !video.currentTime) return;
  await call('PUT', `/api/video/${watched.id}/progress/`, {position: video.currentTime}).catch(error => tell(error.message));
}

async function close() {
  watched = null;
  video.removeAttribute('src');
  video.load();
  await open();
}

// Putting films in -----------------------------------------------------------------------------------------

async function upload(event) {
  event.preventDefault();
  await open(); // a GET renews a sign-in that a page had for long, which a POST does not
  const form = event.target, bar = form.querySelector('progress'), request = new XMLHttpRequest();
  const fields = new FormData();
  for (const name of ['title', 'category']) if (form[name].value.trim()) fields.append(name, form[name].value);
  fields.append('file', form.file.files[0]);
  request.upload.onprogress = sent => { bar.value = 100 * sent.loaded / sent.total; };
  request.onloadend = () => {
    bar.hidden = true;
    const said = request.responseText ? JSON.parse(request.responseText) : {detail: 'The connection was lost.'};
    tell(request.status === 201 ? '' : sentence(said));
    if (request.status === 201) form.reset();
    follow();
  };
  request.open('POST', '/api/admin/videos/');
  bar.hidden = false;
  request.send(fields);
}

async function follow() {
  const films = (await call('GET', '/api/admin/videos/')).filter(film => film.status !== 'ready' || film.warning);
  element('work').replaceChildren(...films.map(film => make('li', {textContent: state(film)})));
  if (films.some(film => film.status === 'processing')) {
    later(follow);
    await list();
  }
}

function state(film) {
  if (film.status === 'failed') return `“${film.title}” failed: ${film.error}`;
  if (film.status === 'ready') return `“${film.title}” is ready. ${film.warning}`;
  return `“${film.title}”: ${film.progress} %${film.playable ? ', can be watched already' : ''}. ${film.warning ?? ''}`;
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
  await call('POST', '/api/logout/').catch(error => tell(error.message));
  await close();
};
element('upload').onsubmit = upload;
element('close').onclick = close;
element('search').oninput = () => list().catch(error => tell(error.message));
video.onerror = () => { if (video.getAttribute('src')) tell('This film cannot be played at the moment.'); };
setInterval(report, REPORT);
open();
