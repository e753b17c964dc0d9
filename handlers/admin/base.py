"""What all endpoints for admins have in common."""

from __future__ import annotations

from handlers.base import ApiHandler


class AdminHandler(ApiHandler):
    """An endpoint for admins only."""

    metrics_label = "admin"
    is_admin_only = True
