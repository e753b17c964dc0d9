// Before one is signed in: sign in, create an account, and what the links in mails lead to.

import {call} from './api.js';
import {element, show, tell} from './dom.js';

// By the first word of the address after #; each gets the rest of it.
export const PLACES = new Map(Object.entries({
  register: () => present('register'),
  forgot: () => present('forgot'),
  reset: (uid, token) => present('reset', `/api/password_confirm/${uid}/${token}/`),
  activate: async (uid, token) => {
    try {
      await call('GET', `/api/activate/${uid}/${token}/`);
      home('Your address is confirmed. You can sign in now.');
    } catch (error) {
      const isOver = error.status === 400;
      home(isOver ? 'This link is no good any more. “Forgot your password?” sends you another one.' : error.message);
    }
  },
}));

export function present(id, action = '') {
  show(id);
  const form = element(id);
  form.dataset.action = action;
  if (!form.contains(document.activeElement)) form.querySelector('input').focus();
}

function home(text) {
  history.replaceState(null, '', '#');
  present('sign-in');
  tell(text);
}

// What is done with the fields of each form.
const STEPS = {
  'sign-in': async fields => {
    await call('POST', '/api/login/', fields);
    dispatchEvent(new Event('signed-in'));
  },
  register: async fields => {
    await call('POST', '/api/register/', fields);
    home(`We have sent an email to ${fields.email}. Open the link in it, then sign in.`);
  },
  forgot: async fields => {
    await call('POST', '/api/password_reset/', fields);
    home(`If ${fields.email} has an account, an email with a link is on its way.`);
  },
  reset: async (fields, form) => {
    await call('POST', form.dataset.action, fields);
    home('Your password was changed. You can sign in with it now.');
  },
};

for (const [id, step] of Object.entries(STEPS)) {
  element(id).onsubmit = async event => {
    event.preventDefault();
    const form = event.target, button = form.querySelector('button');
    tell('');
    button.disabled = true; // two clicks are one mail
    try {
      await step(Object.fromEntries(new FormData(form)), form);
      form.reset();
    } finally {
      button.disabled = false;
    }
  };
}
