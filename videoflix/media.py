"""Which published file a path of the media URL space means."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from videoflix.errors import NotFound
from videoflix.models import Video
from videoflix.ports import Engine
from videoflix.stores.videos import VideoStore

RESOLUTIONS = ("480p", "720p", "1080p")  # the names that pages offer for every film

_MASTER = "master.m3u8"
_OF_RENDITION = re.compile(r"(?P<rendition>[0-9]{3,4}p)/(?P<file>index\.m3u8|(?P<segment>[0-9]{4,7})\.ts)")


class Media:
    """The published files of the catalogue's films; nothing else below the media folder can be named."""

    def __init__(self, root: Path, videos: VideoStore, engine: Engine) -> None:
        self._root = root
        self._videos = videos
        self._engine = engine

    async def locate(self, video_id: int, path: str) -> Path:
        """The file of `master.m3u8`, `<resolution>/index.m3u8` or `<resolution>/<NNNN>.ts`.

        A segment that is not encoded yet is waited for. Raises NotFound, and Unavailable when it takes too long.
        """
        video = await self._videos.get(video_id)
        if not video.playable:
            raise NotFound
        folder = self._root / "hls" / str(video_id)
        if path == _MASTER:
            return folder / path
        parts = _OF_RENDITION.fullmatch(path)
        if parts is None:
            raise NotFound
        rendition = _served(video, parts["rendition"])
        file = folder / rendition / parts["file"]
        if parts["segment"]:
            await self._wait_for(video, rendition, int(parts["segment"]), file)
        return file

    def thumbnail(self, video_id: int) -> Path:
        """Where the film's picture lies, or will."""
        return self._root / "thumbnails" / f"{video_id}.jpg"

    async def _wait_for(self, video: Video, rendition: str, number: int, file: Path) -> None:
        if file.name != f"{number:04d}.ts" or number >= video.segments:
            raise NotFound
        if not await asyncio.to_thread(file.exists):
            await self._engine.want_segment(video.id, rendition, number)


def _served(video: Video, resolution: str) -> str:
    """For a smaller source, a name above its size is served by the largest rendition that there is."""
    if resolution in video.renditions:
        return resolution
    if resolution in RESOLUTIONS and video.renditions:
        return video.renditions[-1]
    raise NotFound
