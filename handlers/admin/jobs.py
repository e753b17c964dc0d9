"""The transcoding jobs."""

from __future__ import annotations

from handlers import views
from handlers.admin.base import AdminHandler


class JobsHandler(AdminHandler):
    """GET /api/admin/jobs/: current and past jobs with their tasks."""

    async def get(self) -> None:
        """Respond with the jobs, newest first."""
        self.respond(views.job_list(await self.services.engine.jobs()))
