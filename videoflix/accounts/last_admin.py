"""Keeps one admin, whoever takes rights away at the same moment.

MongoDB changes one document atomically, and this rule is about several. So whoever is to lose rights is marked first,
and looks for another admin without a mark after that: of two who are demoted at once, each sees the mark of the other,
or one of them is done before the other one looks. A mark carries a token, and the change is written only while the mark
is still there: a process that stood still for longer than marks last changes nothing.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Mapping

from videoflix.errors import Conflict
from videoflix.models import User
from videoflix.stores.users import UserStore

_TRIES = 5
_LONGEST_PAUSE_S = 0.2  # between two tries; random, so that of two who were in each other's way one is first


async def take_rights(users: UserStore, user_id: int, fields: Mapping[str, object], refusal: str) -> User:
    """Set fields that may end a user's being an admin; return the user as it is then.

    Raises NotFound, and Conflict with the `refusal` when no admin would be left.
    """
    for _ in range(_TRIES):
        token = secrets.token_hex(8)
        user = await users.announce_step_down(user_id, token)
        is_admin = user.is_admin and user.can_sign_in
        if not is_admin or await users.has_staying_admin(besides=user_id):
            if changed := await users.step_down(user_id, token, fields):
                return changed
        else:
            await users.cancel_step_down(user_id, token)
        await asyncio.sleep(random.uniform(0, _LONGEST_PAUSE_S))  # noqa: S311  # no secret
    raise Conflict(refusal)
