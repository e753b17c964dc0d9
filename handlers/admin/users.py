"""What admins do with users, and the mails that are owed to them."""

from __future__ import annotations

from handlers.base import ApiHandler
from handlers.schemas import UserPatch, UsersQuery
from videoflix.mail.outbox import OutboxMail
from videoflix.models import User, isoformat


class UsersHandler(ApiHandler):
    """GET /api/admin/users/: `search`, `limit` and `offset` narrow it."""

    metrics_label = "accounts_admin"
    is_admin_only = True

    async def get(self) -> None:
        """A page of users, oldest first, and how many there are in all."""
        query = self.parse_query(UsersQuery)
        users, count = await self.services.user_admin.list_page(query.search, query.offset, query.limit)
        self.respond({"count": count, "users": [admin_user(user) for user in users]})


class UserHandler(ApiHandler):
    """GET, PATCH and DELETE /api/admin/users/<id>/."""

    metrics_label = "accounts_admin"
    is_admin_only = True

    async def get(self, user_id: str) -> None:
        """The user."""
        self.respond(admin_user(await self.services.user_admin.get(int(user_id))))

    async def patch(self, user_id: str) -> None:
        """Disable or enable, make an admin of or no longer; the user's sessions end."""
        rights = self.parse_body(UserPatch).model_dump(exclude_none=True)
        self.respond(admin_user(await self.services.user_admin.update(self.identity.user_id, int(user_id), **rights)))

    async def delete(self, user_id: str) -> None:
        """Delete the user and all that is held of theirs."""
        await self.services.user_admin.delete(self.identity.user_id, int(user_id))
        self.respond({"detail": "User deleted."})


class MailsHandler(ApiHandler):
    """GET /api/admin/mails/: what is owed, and what was given up."""

    metrics_label = "accounts_admin"
    is_admin_only = True

    async def get(self) -> None:
        """Newest first, with what the mail server said."""
        self.respond({"mails": [admin_mail(mail) for mail in await self.services.outbox.list_all()]})


class MailHandler(ApiHandler):
    """DELETE /api/admin/mails/<id>/."""

    metrics_label = "accounts_admin"
    is_admin_only = True

    async def delete(self, mail_id: str) -> None:
        """Owe it no more: to an address that does not exist it never arrives."""
        await self.services.outbox.discard(mail_id)
        self.respond({"detail": "Mail deleted."})


class MailRetryHandler(ApiHandler):
    """POST /api/admin/mails/<id>/retry/."""

    metrics_label = "accounts_admin"
    is_admin_only = True

    async def post(self, mail_id: str) -> None:
        """Try it again at once."""
        await self.services.outbox.retry(mail_id)
        self.respond({"detail": "The mail is tried again."})


def admin_user(user: User) -> dict[str, object]:
    """A user as admins see it."""
    return {
        "id": user.id,
        "email": user.email,
        "is_active": user.is_active,
        "is_disabled": user.is_disabled,
        "is_admin": user.is_admin,
        "created_at": isoformat(user.created_at),
    }


def admin_mail(mail: OutboxMail) -> dict[str, object]:
    """A mail as admins see it."""
    return {
        "id": mail.id,
        "kind": mail.kind,
        "address": mail.address,
        "status": "given_up" if mail.given_up_at else "owed",
        "attempts": mail.attempts,
        "error": mail.error,
        "created_at": isoformat(mail.created_at),
        "next_at": None if mail.given_up_at else isoformat(mail.next_at),
    }
