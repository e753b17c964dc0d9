"""The published files: playlists, segments and thumbnails."""

from __future__ import annotations

import asyncio
from pathlib import Path

from handlers.base import ApiHandler
from videoflix.errors import NotFound

_TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".ts": "video/mp2t",
    ".jpg": "image/jpeg",
    ".vtt": "text/vtt",
}


class FileHandler(ApiHandler):
    """Sends a file of the media folder."""

    async def send(self, file: Path) -> None:
        """Raises NotFound."""
        try:
            content = await asyncio.to_thread(file.read_bytes)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise NotFound from None
        self.set_header("Content-Type", _TYPES[file.suffix])
        self.set_header("Cache-Control", "private, no-cache")
        self.finish(content)


class MediaHandler(FileHandler):
    """GET /media/hls/<id>/..., /api/video/<id>/...: playlists and segments."""

    async def get(self, video_id: str, path: str) -> None:
        """The file; a segment that is not there yet is waited for."""
        await self.send(await self.services.media.locate(int(video_id), path))


class ThumbnailHandler(FileHandler):
    """GET /media/thumbnails/<id>.jpg."""

    async def get(self, video_id: str) -> None:
        """The film's picture."""
        await self.send(self.services.media.thumbnail(int(video_id)))
