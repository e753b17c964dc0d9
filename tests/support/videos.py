"""Videos without the work of encoding them: catalogue records, and published files with known bytes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient

from videoflix.models import ListedVideo, Video, VideoStatus
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
SEGMENT_BYTES = 400_000
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class VideoLibrary:
    """Adds videos to a site: published files, and their records in the catalogue."""

    settings: Settings
    videos: VideoStore

    @property
    def root(self) -> Path:
        """Return the media folder."""
        return self.settings.media_root

    async def add(
        self, video_id: int = 1, renditions: Sequence[str] = ("480p", "720p"), is_done: bool = True, **values: Any
    ) -> Path:
        """Add a video of three segments; return the folder of its published files."""
        folder = self.root / "hls" / str(video_id)
        write_video_files(folder, renditions)
        await self.add_record(video_id, renditions, is_done, **values)
        return folder

    async def add_record(
        self, video_id: int = 1, renditions: Sequence[str] = ("480p", "720p"), is_done: bool = True, **values: Any
    ) -> None:
        """Add the record of a video without its files."""
        status = VideoStatus.READY if is_done else VideoStatus.PROCESSING
        given: dict[str, Any] = {
            "title": "t",
            "source": f"videos/{video_id}.mp4",
            "status": status,
            "presentation": {"version": 1},
            "renditions": tuple(renditions),
            "segments": 3,
            "duration": 10.0,
        }
        await self.videos.add(Video(id=video_id, **{**given, **values}))


def write_video_files(folder: Path, renditions: Sequence[str]) -> None:
    """Write every kind of published file."""
    for name in (*renditions, "audio1", "subs1", "storyboard"):
        (folder / name).mkdir(parents=True)
    for name in (*renditions, "audio1"):
        (folder / name / "index.m3u8").write_text(PLAYLIST)
        for number in range(3):
            (folder / name / f"{number:04d}.ts").write_bytes(os.urandom(SEGMENT_BYTES))
    for name in renditions:
        (folder / name / "iframes.m3u8").write_text(PLAYLIST)
    (folder / "subs1" / "index.m3u8").write_text(PLAYLIST.replace(".ts", ".vtt"))
    (folder / "subs1" / "0000.vtt").write_text("WEBVTT\n")
    (folder / "storyboard" / "index.vtt").write_text(STORYBOARD)
    (folder / "storyboard" / "0000.jpg").write_bytes(b"\xff\xd8\xff sheet")
    (folder / "master.m3u8").write_text(MASTER)


def open_video_store(settings: Settings) -> tuple[VideoStore, AsyncIOMotorClient[dict[str, Any]]]:
    """Return the collection of videos, and the database client to close."""
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
        settings.mongodb_uri.get_secret_value(), tz_aware=True
    )
    return VideoStore(client[settings.mongodb_db]), client


def make_video(number: int, title: str = "", **given: Any) -> Video:
    """Return a playable video of 100 s. A higher number makes it newer."""
    usual = {
        "title": title or f"Film {number}",
        "created_at": EPOCH + timedelta(hours=number),
        "source": f"videos/{number}.mp4",
        "status": VideoStatus.READY,
        "presentation": {"version": 1},
        "renditions": ("480p",),
        "segments": 25,
        "duration": 100.0,
    }
    return Video(id=number, **{**usual, **given})


def make_listed_video(number: int, title: str) -> ListedVideo:
    """Return the same video as lists hold it."""
    video = make_video(number, title)
    return ListedVideo(**{field.name: getattr(video, field.name) for field in fields(ListedVideo)})
