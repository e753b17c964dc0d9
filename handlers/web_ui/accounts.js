// Before one is signed in: sign in, create an account, and what the links in mails lead to.

import {call, path} from './api.js';
import {element, show, tell} from './dom.js';

const NO_LINK = 'This link is not complete. Please open the one in the email once more.';

// The two parts that a link in a mail has: base64url of at most as many characters as the API takes.
const isLink = parts => parts.length === 2 && /^[\w-]{1,64}$/.test(parts[0]) && /^[\w-]{1,512}$/.test(parts[1]);

// By the first word of the address after #; each gets the rest of it.
export const PLACES = new Map(Object.entries({
  register: () => present('register'),
  forgot: () => present('forgot'),
  reset: (...parts) => isLink(parts) ? present('reset', path`/api/password_confirm/${parts[0]}/${parts[1]}/`) : home(NO_LINK),
  activate: async (...parts) => {
    if (!isLink(parts)) return home(NO_LINK);
    try {
      await call('GET', path`/api/activate/${parts[0]}/${parts[1]}/`);
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
