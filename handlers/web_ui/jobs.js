// For admins: upload videos, and follow their transcoding.

import {UNREACHABLE, apiError, call, formatDuration, path} from './api.js';
import {createElement, element, setChildren, showMessage} from './dom.js';
import {deleteVideo} from './player.js';
import {thumbnailUrl} from './videos.js';

const form = element('upload'), progressBar = form.querySelector('progress'), submitButton = form.querySelector('button');

// Show videos that are processing, failed, or ready with a warning. Return whether any is processing.
export async function refreshJobs() {
  const videos = (await call('GET', '/api/admin/videos/')).filter(video => video.status !== 'ready' || video.warning);
  setChildren(document.querySelector('#jobs ul'), videos.map(entry));
  const processing = videos.filter(video => video.status === 'processing');
  for (const video of processing) {
    const image = document.querySelector(`#video-${video.id} img`);
    if (image) image.src = thumbnailUrl(video, video.progress); // a placeholder until there is a thumbnail
  }
  return processing.length > 0;
}

function entry(video) {
  const id = `job-${video.id}`;
  const node = element(id) ?? createElement('li', {id}, createElement('span'),
    actionButton('Try again', video, () => call('POST', path`/api/admin/videos/${video.id}/retry/`)),
    actionButton('Delete', video, () => deleteVideo(video)));
  node.firstChild.textContent = statusText(video);
  node.children[1].hidden = !video.may_be_retried;
  return node;
}

function actionButton(textContent, video, action) {
  const onclick = async () => { await action(); announceChange(); };
  return createElement('button', {textContent, onclick, ariaLabel: `${textContent}: ${video.title}`});
}

function announceChange() {
  dispatchEvent(new Event('videos-changed'));
}

function statusText(video) {
  if (video.status === 'failed') return `“${video.title}” failed: ${video.error}`;
  if (video.status === 'ready') return `“${video.title}” is ready. ${video.warning}`;
  const parts = [`“${video.title}”: ${video.progress} %`];
  if (video.waits_for) parts.push(`waiting for ${video.waits_for}`);
  else if (video.seconds_left) parts.push(`about ${formatDuration(video.seconds_left)} left`);
  if (video.playable) parts.push('ready to watch');
  return `${parts.join(', ')}. ${video.warning ?? ''}`;
}

form.onsubmit = async event => {
  event.preventDefault();
  showMessage('');
  setUploading(true);
  try {
    await call('GET', '/api/me/'); // a GET renews an access token that has expired; a POST does not
    await upload();
    form.reset();
  } finally {
    setUploading(false);
    announceChange();
  }
};

function setUploading(isUploading) {
  progressBar.hidden = !isUploading;
  progressBar.value = 0;
  submitButton.disabled = isUploading; // a double click must not upload twice
  window.onbeforeunload = isUploading ? event => event.preventDefault() : null;
}

// XMLHttpRequest, because fetch does not report upload progress. Text fields come first: the server checks them first.
function upload() {
  const fields = new FormData(), request = new XMLHttpRequest();
  for (const name of ['title', 'category', 'description']) {
    if (form[name].value.trim()) fields.append(name, form[name].value);
  }
  fields.append('file', form.file.files[0]);
  return new Promise((resolve, reject) => {
    request.upload.onprogress = event => { progressBar.value = 100 * event.loaded / event.total; };
    request.onloadend = () => {
      if (request.status === 201) resolve();
      else reject(apiError(request.status || UNREACHABLE, request.response ?? {}, request.getResponseHeader('Retry-After')));
    };
    request.responseType = 'json';
    request.open('POST', '/api/admin/videos/');
    request.send(fields);
  });
}
