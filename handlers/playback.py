"""Addresses for players that keep no cookies."""

from __future__ import annotations

from datetime import UTC, datetime

from handlers.base import ApiHandler
from videoflix.models import isoformat


class PlaybackHandler(ApiHandler):
    """GET /api/video/<id>/playback/: an address that VLC or a television can play."""

    metrics_label = "playback"

    async def get(self, video_id: str) -> None:
        """Good for this film alone, for some hours, and until this session ends."""
        film = await self.services.media.get_playable(int(video_id))
        token, expires = self.services.token_verifier.issue_playback_token(self.identity, film.id)
        self.set_header("Cache-Control", "no-store")
        self.respond(
            {
                "master_url": f"{self.public_url()}/media/hls/{film.id}/master.m3u8?token={token}",
                "token": token,
                "expires_at": isoformat(datetime.fromtimestamp(expires, UTC)),
            }
        )
