// What admins do: put films in, and see what becomes of them.

import {UNREACHABLE, call, duration, path, problem} from './api.js';
import {arrange, element, make, tell} from './dom.js';
import {picture} from './films.js';
import {remove} from './player.js';

const form = element('upload'), bar = form.querySelector('progress'), sender = form.querySelector('button');

// Whether anything is in work.
export async function follow() {
  const films = (await call('GET', '/api/admin/videos/')).filter(film => film.status !== 'ready' || film.warning);
  arrange(document.querySelector('#work ul'), films.map(entry));
  const inWork = films.filter(film => film.status === 'processing');
  for (const film of inWork) {
    const shown = document.querySelector(`#film-${film.id} img`);
    if (shown) shown.src = picture(film, film.progress); // a placeholder until there is one
  }
  return inWork.length > 0;
}

function entry(film) {
  const id = `work-${film.id}`;
  const made = element(id) ?? make('li', {id}, make('span'),
    button('Try again', film, () => call('POST', path`/api/admin/videos/${film.id}/retry/`)),
    button('Delete', film, () => remove(film)));
  made.firstChild.textContent = state(film);
  made.children[1].hidden = !film.may_be_retried;
  return made;
}

function button(textContent, film, step) {
  const onclick = async () => { await step(); changed(); };
  return make('button', {textContent, onclick, ariaLabel: `${textContent}: ${film.title}`});
}

function changed() {
  dispatchEvent(new Event('films-changed'));
}

function state(film) {
  if (film.status === 'failed') return `“${film.title}” failed: ${film.error}`;
  if (film.status === 'ready') return `“${film.title}” is ready. ${film.warning}`;
  const said = [`“${film.title}”: ${film.progress} %`];
  if (film.waits_for) said.push(`waits for ${film.waits_for}`);
  else if (film.seconds_left) said.push(`about ${duration(film.seconds_left)} left`);
  if (film.playable) said.push('can be watched already');
  return `${said.join(', ')}. ${film.warning ?? ''}`;
}

form.onsubmit = async event => {
  event.preventDefault();
  tell('');
  sending(true);
  try {
    await call('GET', '/api/me/'); // renews a sign-in that a page had for long, which a POST does not
    await send();
    form.reset();
  } finally {
    sending(false);
    changed();
  }
};

function sending(isSending) {
  bar.hidden = !isSending;
  bar.value = 0;
  sender.disabled = isSending; // the same film does not come twice
  window.onbeforeunload = isSending ? event => event.preventDefault() : null;
}

// With XMLHttpRequest, for fetch does not say how far it is. The texts before the file: they are checked first.
function send() {
  const fields = new FormData(), request = new XMLHttpRequest();
  for (const name of ['title', 'category', 'description']) {
    if (form[name].value.trim()) fields.append(name, form[name].value);
  }
  fields.append('file', form.file.files[0]);
  return new Promise((resolve, reject) => {
    request.upload.onprogress = sent => { bar.value = 100 * sent.loaded / sent.total; };
    request.onloadend = () => {
      if (request.status === 201) resolve();
      else reject(problem(request.status || UNREACHABLE, request.response ?? {}, request.getResponseHeader('Retry-After')));
    };
    request.responseType = 'json';
    request.open('POST', '/api/admin/videos/');
    request.send(fields);
  });
}
