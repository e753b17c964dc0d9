"""Finds published files for requests. No other file below the media folder can be requested."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from transcode import Engine, paths
from videoflix.errors import NotFound
from videoflix.media import published_names
from videoflix.media.playlist_cache import CachedPlaylist, PlaylistCache, PlaylistKey
from videoflix.media.published_names import FileKind, PublishedName
from videoflix.media.safe_open import OpenFile, open_below, resolve_folder
from videoflix.media.video_cache import CachedVideo, VideoCache

_PLACEHOLDER = Path(__file__).parent / "placeholder.jpg"


class CachePolicy(Enum):
    """How long clients may cache a response."""

    IMMUTABLE = auto()  # forever
    SHORT_LIVED = auto()  # for a short time
    REVALIDATE = auto()  # only with revalidation on each use


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file to send; the caller closes it."""

    kind: FileKind
    cache_policy: CachePolicy
    content: OpenFile | CachedPlaylist
    location: str = ""  # path below the media folder; "" for a file outside of it or one that was rewritten

    def close(self) -> None:
        """Close the file. Idempotent."""
        if isinstance(self.content, OpenFile):
            self.content.close()


@dataclass(frozen=True, slots=True)
class MediaRequest:
    """A request for a published file. `token` and `has_trailing_slash` determine the URIs in a playlist."""

    video_id: int
    path: str  # below the folder of the video
    token: str = ""  # playback token
    has_trailing_slash: bool = False
    received_at: float = field(default_factory=time.monotonic)


class Media:
    """Access to published files: `get_cached` never waits, `get` returns the file or raises."""

    def __init__(self, media_root: Path, video_cache: VideoCache, engine: Engine) -> None:
        self._video_cache = video_cache
        self._engine = engine
        self._hls_dir = resolve_folder(paths.hls_dir(media_root))
        self._thumbnails_dir = resolve_folder(paths.thumbnails_dir(media_root))
        self._playlist_cache = PlaylistCache(self._hls_dir)

    def get_cached(self, request: MediaRequest) -> MediaFile | None:
        """Return a file that needs no database, engine or thread; None does not mean that it does not exist."""
        video = self._video_cache.get_cached(request.video_id)
        name = published_names.parse_name(request.path)
        if video is None or name is None:
            return None
        try:
            if name.is_index:
                playlist = self._playlist_cache.get_cached(_make_playlist_key(video, name, request))
                return _to_playlist_file(name, playlist) if playlist else None
            return self._open_file(video, name)
        except NotFound:
            return None

    async def get(self, request: MediaRequest, user_id: int) -> MediaFile:
        """Return a file; wait for a segment that has not been encoded yet.

        Raises NotFound, SegmentFailed, SegmentTimeout, and TooManyWaiters if the user has too many requests.
        """
        name = published_names.parse_name(request.path)
        if name is None:
            raise NotFound
        video = await self.get_playable(request.video_id)
        if name.resolution and name.number is not None and name.number >= video.segments:
            raise NotFound
        if name.is_index:
            return _to_playlist_file(name, await self._get_playlist(_make_playlist_key(video, name, request)))
        try:
            return self._open_file(video, name)
        except NotFound:
            if name.resolution is None or name.number is None:
                raise
        elapsed_s = time.monotonic() - request.received_at  # the request may have waited for an unavailable server
        rendition = video.resolve_rendition(name.resolution)
        await self._engine.request_segment(video.id, rendition, name.number, user_id, elapsed_s)
        return self._open_file(video, name)

    async def get_playable(self, video_id: int) -> CachedVideo:
        """Return a playable video. Raises NotFound, also if it is not playable yet."""
        video = await self._video_cache.get(video_id)
        if not video.is_playable:
            raise NotFound
        return video

    def get_cached_thumbnail(self, video_id: int) -> MediaFile | None:
        """Return the thumbnail of a cached video, or None if `get_thumbnail` has to be called."""
        return self._open_thumbnail(video_id) if self._video_cache.get_cached(video_id) else None

    async def get_thumbnail(self, video_id: int) -> MediaFile:
        """Return the thumbnail of a video, or a placeholder until there is one. Raises NotFound."""
        return self._open_thumbnail((await self._video_cache.get(video_id)).id)

    def _open_thumbnail(self, video_id: int) -> MediaFile:
        name = paths.thumbnail_name(video_id)
        try:
            file = open_below(self._thumbnails_dir, name)
        except NotFound:
            placeholder = open_below(str(_PLACEHOLDER.parent), _PLACEHOLDER.name)
            return MediaFile(FileKind.IMAGE, CachePolicy.REVALIDATE, placeholder)
        return MediaFile(FileKind.IMAGE, CachePolicy.SHORT_LIVED, file, f"{paths.THUMBNAILS_DIR}/{name}")

    async def _get_playlist(self, key: PlaylistKey) -> CachedPlaylist:
        playlist = self._playlist_cache.get_cached(key)
        if playlist is None:
            playlist = await asyncio.to_thread(self._playlist_cache.load, key)
            self._playlist_cache.put(key, playlist)
        return playlist

    def _open_file(self, video: CachedVideo, name: PublishedName) -> MediaFile:
        parts = _path_parts(video, name)
        cache_policy = CachePolicy.IMMUTABLE if video.is_final else CachePolicy.REVALIDATE
        file = open_below(self._hls_dir, *parts)
        return MediaFile(name.kind, cache_policy, file, "/".join((paths.HLS_DIR, *parts)))


def _make_playlist_key(video: CachedVideo, name: PublishedName, request: MediaRequest) -> PlaylistKey:
    return PlaylistKey(_path_parts(video, name), request.token, request.has_trailing_slash)


def _path_parts(video: CachedVideo, name: PublishedName) -> tuple[str, ...]:
    """Return the components of the file's path below the folder of all videos. Raises NotFound."""
    folder = video.resolve_rendition(name.resolution) if name.resolution else name.folder
    return paths.published_parts(video.id, folder, name.file_name)


def _to_playlist_file(name: PublishedName, playlist: CachedPlaylist) -> MediaFile:
    return MediaFile(name.kind, CachePolicy.REVALIDATE, playlist)
