"""Keeps at least one admin, even if several admins lose their rights concurrently.

MongoDB changes one document atomically, and this rule is about several. So a user who is to lose rights is marked
first, and only then the other admins without a mark are searched. Of two admins who are demoted concurrently, each sees
the other's mark, or one is done before the other searches. A mark carries a token, and the change is written only while
that mark is there: a process that was suspended for longer than marks last changes nothing.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from typing import Unpack

from videoflix.errors import Conflict
from videoflix.models import User
from videoflix.stores.users import UserFields, UserStore

_MAX_ATTEMPTS = 5
_MAX_RETRY_DELAY_S = 0.2  # a random part of it, so that of two callers who block each other one goes first
_MARK_TOKEN_BYTES = 8


async def update_unless_last_admin(users: UserStore, user_id: int, refusal: str, **fields: Unpack[UserFields]) -> User:
    """Set fields that may end a user's being an admin, and return the changed user.

    Raises NotFound, and Conflict with the message `refusal` if no admin would be left.
    """
    for _ in range(_MAX_ATTEMPTS):
        token = secrets.token_hex(_MARK_TOKEN_BYTES)
        user = await users.announce_step_down(user_id, token)
        is_admin = user.is_admin and user.can_sign_in
        if not is_admin or await users.has_staying_admin(besides=user_id):
            if updated := await users.step_down(user_id, token, fields):
                return updated
        else:
            await users.cancel_step_down(user_id, token)
        await asyncio.sleep(random.uniform(0, _MAX_RETRY_DELAY_S))  # noqa: S311  # not a secret
    raise Conflict(refusal)
