// The forms for signed-out users, and the targets of the links in mails.

import {call, path} from './api.js';
import {element, showMessage, showView} from './dom.js';

const BAD_LINK = 'This link is not complete. Please open the one in the email again.';

// The parts of a link in a mail: base64url, at most as long as the API accepts.
const isLink = parts => parts.length === 2 && /^[\w-]{1,64}$/.test(parts[0]) && /^[\w-]{1,512}$/.test(parts[1]);

// Routes by the first part of the address after #; the other parts are arguments.
export const ROUTES = new Map(Object.entries({
  register: () => showForm('register'),
  forgot: () => showForm('forgot'),
  reset: (...parts) => isLink(parts)
    ? showForm('reset', path`/api/password_confirm/${parts[0]}/${parts[1]}/`) : showSignIn(BAD_LINK),
  activate: async (...parts) => {
    if (!isLink(parts)) return showSignIn(BAD_LINK);
    try {
      await call('GET', path`/api/activate/${parts[0]}/${parts[1]}/`);
      showSignIn('Your address is confirmed. You can sign in now.');
    } catch (error) {
      const isExpired = error.status === 400;
      showSignIn(isExpired ? 'This link is no longer valid. Use “Forgot your password?” to get a new one.' : error.message);
    }
  },
}));

export function showForm(id, action = '') {
  showView(id);
  const form = element(id);
  form.dataset.action = action;
  if (!form.contains(document.activeElement)) form.querySelector('input').focus();
}

function showSignIn(message) {
  history.replaceState(null, '', '#');
  showForm('sign-in');
  showMessage(message);
}

// What each form does with its fields.
const SUBMIT_ACTIONS = {
  'sign-in': async fields => {
    await call('POST', '/api/login/', fields);
    dispatchEvent(new Event('signed-in'));
  },
  register: async fields => {
    await call('POST', '/api/register/', fields);
    showSignIn(`We have sent an email to ${fields.email}. Open the link in it, then sign in.`);
  },
  forgot: async fields => {
    await call('POST', '/api/password_reset/', fields);
    showSignIn(`If ${fields.email} has an account, an email with a link is on its way.`);
  },
  reset: async (fields, form) => {
    await call('POST', form.dataset.action, fields);
    showSignIn('Your password was changed. You can sign in with it now.');
  },
};

for (const [id, submit] of Object.entries(SUBMIT_ACTIONS)) {
  element(id).onsubmit = async event => {
    event.preventDefault();
    const form = event.target, button = form.querySelector('button');
    showMessage('');
    button.disabled = true; // a double click must not send two mails
    try {
      await submit(Object.fromEntries(new FormData(form)), form);
      form.reset();
    } finally {
      button.disabled = false;
    }
  };
}
