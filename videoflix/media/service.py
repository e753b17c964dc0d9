"""The published files of the catalogue's films; nothing else below the media folder can be named."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from videoflix.errors import NotFound
from videoflix.media import published_names
from videoflix.media.playlist_cache import CachedPlaylist, PlaylistCache, PlaylistKey
from videoflix.media.published_names import FileKind, PublishedName
from videoflix.media.safe_open import OpenFile, open_below, resolve_folder
from videoflix.media.video_cache import CachedVideo, VideoCache
from videoflix.ports import Engine

_PLACEHOLDER = Path(__file__).parent / "placeholder.jpg"


class CachePolicy(Enum):
    """How long what a client got stays right."""

    IMMUTABLE = auto()
    SHORT_LIVED = auto()
    REVALIDATE = auto()


@dataclass(frozen=True, slots=True)
class MediaFile:
    """Something to send: `close` it. `location` is its path below the media folder, "" for what is not there."""

    kind: FileKind
    cache_policy: CachePolicy
    content: OpenFile | CachedPlaylist
    location: str = ""

    def close(self) -> None:
        """Safe to repeat."""
        if isinstance(self.content, OpenFile):
            self.content.close()


@dataclass(frozen=True, slots=True)
class MediaRequest:
    """What a client asks for: a path below a film's folder, how the URIs in a list have to look, and since when."""

    video_id: int
    path: str
    token: str = ""
    has_trailing_slash: bool = False
    received_at: float = field(default_factory=time.monotonic)


class Media:
    """Two ways to the same files: `at_hand` never waits, `find` always has an answer."""

    def __init__(self, media_root: Path, video_cache: VideoCache, engine: Engine) -> None:
        self._video_cache = video_cache
        self._engine = engine
        self._hls_dir = resolve_folder(media_root / "hls")
        self._thumbnails_dir = resolve_folder(media_root / "thumbnails")
        self._playlist_cache = PlaylistCache(self._hls_dir)

    def get_cached(self, request: MediaRequest) -> MediaFile | None:
        """The file, when no database, engine or thread has to be asked; None says nothing about whether it exists."""
        film = self._video_cache.get_cached(request.video_id)
        name = published_names.parse_name(request.path)
        if film is None or name is None:
            return None
        try:
            if name.is_index:
                text = self._playlist_cache.get_cached(self._make_playlist_key(film, name, request))
                return _to_playlist_file(name, text) if text else None
            return self._open_file(film, name)
        except NotFound:
            return None

    async def get(self, request: MediaRequest, user_id: int) -> MediaFile:
        """A segment that is not encoded yet is waited for. Raises NotFound, and Unavailable when it takes too long or
        too many requests of this user wait.
        """
        name = published_names.parse_name(request.path)
        if name is None:
            raise NotFound
        film = await self.get_playable(request.video_id)
        if name.resolution and name.number is not None and name.number >= film.segments:
            raise NotFound
        if name.is_index:
            return _to_playlist_file(name, await self._get_playlist(self._make_playlist_key(film, name, request)))
        try:
            return self._open_file(film, name)
        except NotFound:
            if name.resolution is None or name.number is None:
                raise
        waited = time.monotonic() - request.received_at  # perhaps for a server that was away
        await self._engine.request_segment(
            film.id, film.resolve_rendition(name.resolution), name.number, user_id, waited
        )
        return self._open_file(film, name)

    async def get_playable(self, video_id: int) -> CachedVideo:
        """Raises NotFound, also for a film that cannot be played yet."""
        film = await self._video_cache.get(video_id)
        if not film.is_playable:
            raise NotFound
        return film

    def get_cached_thumbnail(self, video_id: int) -> MediaFile | None:
        """The picture of a film that is known; None when it has to be asked for."""
        return self._open_thumbnail(video_id) if self._video_cache.get_cached(video_id) else None

    async def get_thumbnail(self, video_id: int) -> MediaFile:
        """The film's picture; a placeholder until there is one. Raises NotFound for an unknown film."""
        return self._open_thumbnail((await self._video_cache.get(video_id)).id)

    def _open_thumbnail(self, video_id: int) -> MediaFile:
        name = f"{video_id}.jpg"
        try:
            return MediaFile(
                FileKind.IMAGE, CachePolicy.SHORT_LIVED, open_below(self._thumbnails_dir, name), f"thumbnails/{name}"
            )
        except NotFound:
            return MediaFile(
                FileKind.IMAGE, CachePolicy.REVALIDATE, open_below(str(_PLACEHOLDER.parent), _PLACEHOLDER.name)
            )

    async def _get_playlist(self, key: PlaylistKey) -> CachedPlaylist:
        text = self._playlist_cache.get_cached(key)
        if text is None:
            text = await asyncio.to_thread(self._playlist_cache.load, key)
            self._playlist_cache.put(key, text)
        return text

    def _open_file(self, video: CachedVideo, name: PublishedName) -> MediaFile:
        where = _relative_parts(video, name)
        life = CachePolicy.IMMUTABLE if video.is_final else CachePolicy.REVALIDATE
        return MediaFile(name.kind, life, open_below(self._hls_dir, *where), f"hls/{'/'.join(where)}")

    def _make_playlist_key(self, video: CachedVideo, name: PublishedName, request: MediaRequest) -> PlaylistKey:
        return PlaylistKey(_relative_parts(video, name), request.token, request.has_trailing_slash)


def _relative_parts(video: CachedVideo, name: PublishedName) -> tuple[str, ...]:
    """Where it lies below the folder of all films. Raises NotFound."""
    folder = video.resolve_rendition(name.resolution) if name.resolution else name.folder
    return (str(video.id), folder, name.file_name) if folder else (str(video.id), name.file_name)


def _to_playlist_file(name: PublishedName, playlist: CachedPlaylist) -> MediaFile:
    return MediaFile(name.kind, CachePolicy.REVALIDATE, playlist)
