"""The mails that were not sent yet."""

from __future__ import annotations

from handlers import views
from handlers.admin.base import AdminHandler


class MailsHandler(AdminHandler):
    """GET /api/admin/mails/: mails that are waiting, and mails that were given up."""

    metrics_label = "accounts_admin"

    async def get(self) -> None:
        """Respond with the mails, newest first, each with the last error of the mail server."""
        self.respond(views.mail_list(await self.services.outbox.list_all()))


class MailHandler(AdminHandler):
    """DELETE /api/admin/mails/<id>/."""

    metrics_label = "accounts_admin"

    async def delete(self, mail_id: str) -> None:
        """Give up a mail for good, for example one to an address that does not exist."""
        await self.services.outbox.discard(mail_id)
        self.respond(views.detail("Mail deleted."))


class MailRetryHandler(AdminHandler):
    """POST /api/admin/mails/<id>/retry/."""

    metrics_label = "accounts_admin"

    async def post(self, mail_id: str) -> None:
        """Send a mail again at once."""
        await self.services.outbox.retry(mail_id)
        self.respond(views.detail("The mail will be sent again now."))
