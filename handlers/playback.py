"""URLs for players that keep no cookies."""

from __future__ import annotations

from handlers import views
from handlers.base import ApiHandler


class PlaybackHandler(ApiHandler):
    """GET /api/video/<id>/playback/: a URL that VLC or a television can play."""

    metrics_label = "playback"

    async def get(self, video_id: str) -> None:
        """Respond with a URL that is valid for this video only, for some hours, and until this session ends."""
        video = await self.services.media.get_playable(int(video_id))
        token, expires_at = self.services.token_verifier.issue_playback_token(self.identity, video.id)
        self.set_header("Cache-Control", "no-store")
        self.respond(views.playback_address(video.id, token, expires_at, self.public_url()))
