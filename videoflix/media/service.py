"""The published files of the catalogue's films; nothing else below the media folder can be named."""

from __future__ import annotations

import asyncio
import time

from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from videoflix.errors import NotFound
from videoflix.media import names
from videoflix.media.files import OpenFile, open_below, resolved
from videoflix.media.films import Film, Films
from videoflix.media.names import Kind, Name
from videoflix.media.texts import Text, Texts, Wanted
from videoflix.ports import Engine

_PLACEHOLDER = Path(__file__).parent / "placeholder.jpg"


class Life(Enum):
    """How long what a client got stays right."""

    FOREVER = auto()
    A_WHILE = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Asset:
    """Something to send: `close` it. `location` is its path below the media folder, "" for what is not there."""

    kind: Kind
    life: Life
    content: OpenFile | Text
    location: str = ""

    def close(self) -> None:
        """Safe to repeat."""
        if isinstance(self.content, OpenFile):
            self.content.close()


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for: a path below a film's folder, how the URIs in a list have to look, and since when."""

    video_id: int
    path: str
    token: str = ""
    is_deeper: bool = False
    asked_at: float = field(default_factory=time.monotonic)


class Media:
    """Two ways to the same files: `at_hand` never waits, `find` always has an answer."""

    def __init__(self, root: Path, films: Films, engine: Engine) -> None:
        self._films = films
        self._engine = engine
        self._hls = resolved(root / "hls")
        self._thumbnails = resolved(root / "thumbnails")
        self._texts = Texts(self._hls)

    def at_hand(self, request: Request) -> Asset | None:
        """The file, when no database, engine or thread has to be asked; None says nothing about whether it exists."""
        film = self._films.at_hand(request.video_id)
        name = names.parse(request.path)
        if film is None or name is None:
            return None
        try:
            if name.is_list:
                text = self._texts.at_hand(self._wanted(film, name, request))
                return _listed(name, text) if text else None
            return self._open(film, name)
        except NotFound:
            return None

    async def find(self, request: Request, user: int) -> Asset:
        """A segment that is not encoded yet is waited for. Raises NotFound, and Unavailable when it takes too long or
        too many requests of this user wait.
        """
        name = names.parse(request.path)
        if name is None:
            raise NotFound
        film = await self.playable(request.video_id)
        if name.resolution and name.number is not None and name.number >= film.segments:
            raise NotFound
        if name.is_list:
            return _listed(name, await self._text(self._wanted(film, name, request)))
        try:
            return self._open(film, name)
        except NotFound:
            if name.resolution is None or name.number is None:
                raise
        waited = time.monotonic() - request.asked_at  # perhaps for a server that was away
        await self._engine.want_segment(film.id, film.rendition(name.resolution), name.number, user, waited)
        return self._open(film, name)

    async def playable(self, video_id: int) -> Film:
        """Raises NotFound, also for a film that cannot be played yet."""
        film = await self._films.get(video_id)
        if not film.is_playable:
            raise NotFound
        return film

    def thumbnail_at_hand(self, video_id: int) -> Asset | None:
        """The picture of a film that is known; None when it has to be asked for."""
        return self._picture(video_id) if self._films.at_hand(video_id) else None

    async def thumbnail(self, video_id: int) -> Asset:
        """The film's picture; a placeholder until there is one. Raises NotFound for an unknown film."""
        return self._picture((await self._films.get(video_id)).id)

    def _picture(self, video_id: int) -> Asset:
        name = f"{video_id}.jpg"
        try:
            return Asset(Kind.PICTURE, Life.A_WHILE, open_below(self._thumbnails, name), f"thumbnails/{name}")
        except NotFound:
            return Asset(Kind.PICTURE, Life.UNKNOWN, open_below(str(_PLACEHOLDER.parent), _PLACEHOLDER.name))

    async def _text(self, wanted: Wanted) -> Text:
        text = self._texts.at_hand(wanted)
        if text is None:
            text = await asyncio.to_thread(self._texts.make, wanted)
            self._texts.keep(wanted, text)
        return text

    def _open(self, film: Film, name: Name) -> Asset:
        where = _where(film, name)
        life = Life.FOREVER if film.is_done else Life.UNKNOWN
        return Asset(name.kind, life, open_below(self._hls, *where), f"hls/{'/'.join(where)}")

    def _wanted(self, film: Film, name: Name, request: Request) -> Wanted:
        return Wanted(_where(film, name), request.token, request.is_deeper)


def _where(film: Film, name: Name) -> tuple[str, ...]:
    """Where it lies below the folder of all films. Raises NotFound."""
    folder = film.rendition(name.resolution) if name.resolution else name.folder
    return (str(film.id), folder, name.file) if folder else (str(film.id), name.file)


def _listed(name: Name, text: Text) -> Asset:
    return Asset(name.kind, Life.UNKNOWN, text)
