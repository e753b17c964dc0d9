"""Films that are there without having been encoded: published files with known bytes, and the catalogue's entry."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient

from videoflix.models import Video, VideoStatus
from videoflix.settings import Settings
from videoflix.stores.videos import VideoStore

PLAYLIST = """#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:4
#EXT-X-PLAYLIST-TYPE:VOD
#EXTINF:4.000000,
0000.ts
#EXTINF:4.000000,
0001.ts
#EXTINF:2.000000,
0002.ts
#EXT-X-ENDLIST
"""
MASTER = """#EXTM3U
#EXT-X-VERSION:6
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="English",LANGUAGE="en",URI="audio1/index.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=1000000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=854x480
480p/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=3000000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720
720p/index.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=100000,CODECS="avc1.64001f",RESOLUTION=854x480,URI="480p/iframes.m3u8"
"""
STORYBOARD = """WEBVTT

00:00.000 --> 00:10.000
0000.jpg#xywh=0,0,160,90

00:10.000 --> 00:20.000
0000.jpg#xywh=160,0,160,90
"""
SEGMENT = 400_000  # bytes


@dataclass(slots=True)
class Shelf:
    """Puts films in."""

    settings: Settings
    videos: VideoStore

    @property
    def root(self) -> Path:
        return self.settings.media_root

    async def put(
        self, video_id: int = 1, renditions: Sequence[str] = ("480p", "720p"), is_done: bool = True, **fields: Any
    ) -> Path:
        """The folder of a film of three segments."""
        folder = self.root / "hls" / str(video_id)
        publish(folder, renditions)
        await self.entry(video_id, renditions, is_done, **fields)
        return folder

    async def entry(
        self, video_id: int = 1, renditions: Sequence[str] = ("480p", "720p"), is_done: bool = True, **fields: Any
    ) -> None:
        """What the catalogue knows of it."""
        status = VideoStatus.READY if is_done else VideoStatus.PROCESSING
        given: dict[str, Any] = {
            "title": "t",
            "source": f"videos/{video_id}.mp4",
            "status": status,
            "timeline": {"version": 1},
            "renditions": tuple(renditions),
            "segments": 3,
            "duration": 10.0,
        }
        await self.videos.add(Video(id=video_id, **{**given, **fields}))


def publish(folder: Path, renditions: Sequence[str]) -> None:
    """Every kind of file that there is."""
    for name in (*renditions, "audio1", "subs1", "storyboard"):
        (folder / name).mkdir(parents=True)
    for name in (*renditions, "audio1"):
        (folder / name / "index.m3u8").write_text(PLAYLIST)
        for number in range(3):
            (folder / name / f"{number:04d}.ts").write_bytes(os.urandom(SEGMENT))
    for name in renditions:
        (folder / name / "iframes.m3u8").write_text(PLAYLIST)
    (folder / "subs1" / "index.m3u8").write_text(PLAYLIST.replace(".ts", ".vtt"))
    (folder / "subs1" / "0000.vtt").write_text("WEBVTT\n")
    (folder / "storyboard" / "index.vtt").write_text(STORYBOARD)
    (folder / "storyboard" / "0000.jpg").write_bytes(b"\xff\xd8\xff sheet")
    (folder / "master.m3u8").write_text(MASTER)


def video_store(settings: Settings) -> tuple[VideoStore, AsyncIOMotorClient[dict[str, Any]]]:
    """The collection, and the client to close."""
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
        settings.mongodb_uri.get_secret_value(), tz_aware=True
    )
    return VideoStore(client[settings.mongodb_db]), client
