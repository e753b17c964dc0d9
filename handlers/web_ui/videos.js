// The films that can be watched.

import {call, path} from './api.js';
import {arrange, element, make} from './dom.js';

// Whether there are any, or the search found none.
export async function list() {
  const words = element('search').value.trim();
  const found = await call('GET', '/api/video/' + (words ? `?search=${encodeURIComponent(words)}` : ''));
  if (words !== element('search').value.trim()) return true; // the answer to what was typed since comes, too
  arrange(element('films'), found.map(card));
  if (found.length) return true;
  element('films').replaceChildren(make('p', {className: 'hint', textContent: words ? 'Nothing found.' : 'There are no films yet.'}));
  return words !== '';
}

function card(film) {
  const id = `film-${film.id}`;
  const made = element(id) ?? make('a', {id, href: `#film/${film.id}`},
    make('img', {src: picture(film), alt: '', loading: 'lazy'}), make('h2'), make('p', {className: 'category'}));
  made.querySelector('h2').textContent = film.title;
  made.querySelector('p').textContent = film.category;
  return made;
}

// Not the absolute address, which may have another host than this page; `version` makes a browser look again.
export function picture(film, version) {
  return path`/media/thumbnails/${film.id}.jpg` + (version ? `?${encodeURIComponent(version)}` : '');
}
