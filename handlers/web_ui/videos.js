// The list of playable videos.

import {call, path} from './api.js';
import {createElement, element, setChildren} from './dom.js';

// Return false if there are no videos yet, so that the caller looks again later.
export async function list() {
  const query = element('search').value.trim();
  const videos = await call('GET', '/api/video/' + (query ? `?search=${encodeURIComponent(query)}` : ''));
  if (query !== element('search').value.trim()) return true; // the user typed on: the response to that follows
  setChildren(element('videos'), videos.map(card));
  if (videos.length) return true;
  const textContent = query ? 'Nothing found.' : 'There are no videos yet.';
  element('videos').replaceChildren(createElement('p', {className: 'hint', textContent}));
  return query !== '';
}

function card(video) {
  const id = `video-${video.id}`;
  const node = element(id) ?? createElement('a', {id, href: `#video/${video.id}`},
    createElement('img', {src: thumbnailUrl(video), alt: '', loading: 'lazy'}),
    createElement('h2'), createElement('p', {className: 'category'}));
  node.querySelector('h2').textContent = video.title;
  node.querySelector('p').textContent = video.category;
  return node;
}

// Relative, since the absolute URL may have another host than this page. A new `version` makes browsers load it again.
export function thumbnailUrl(video, version) {
  return path`/media/thumbnails/${video.id}.jpg` + (version ? `?${encodeURIComponent(version)}` : '');
}
