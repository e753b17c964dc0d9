"""The catalogue: which videos there are, who may change them and what their texts may say."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from videoflix.errors import FieldErrors
from videoflix.models import NewVideo, Video
from videoflix.ports import Engine
from videoflix.stores.counters import CounterStore
from videoflix.stores.videos import VideoStore

_log = logging.getLogger(__name__)

# Existing pages put these texts into innerHTML; this is where an HTML parser sees a tag begin (HTML, 13.2.5.6).
_MARKUP = re.compile(r"<[A-Za-z/!?]")
_LONGEST = {"title": 255, "description": 5000, "category": 100}


class Catalogue:
    """Videos in and out; the engine is told of every one."""

    def __init__(self, videos: VideoStore, counters: CounterStore, engine: Engine, media_root: Path) -> None:
        self._videos = videos
        self._counters = counters
        self._engine = engine
        self._root = media_root

    async def playable(self) -> list[Video]:
        """Newest first."""
        return await self._videos.playable()

    async def all(self) -> list[Video]:
        """Newest first, also those that failed."""
        return await self._videos.all()

    async def get(self, video_id: int) -> Video:
        """Raises NotFound."""
        return await self._videos.get(video_id)

    async def was_used(self) -> bool:
        """Whether a film was ever put in, also when all are deleted by now."""
        return await self._counters.last("videos") > 0

    def check(self, new: NewVideo) -> NewVideo:
        """The same texts, stripped. Raises FieldErrors for what no page could show."""
        given = {"title": new.title.strip(), "description": new.description.strip(), "category": new.category.strip()}
        wrong = {name: sentences for name, text in given.items() if (sentences := list(_complaints(name, text)))}
        if wrong:
            raise FieldErrors(wrong)
        return NewVideo(**given)

    async def take_in(self, new: NewVideo, upload: Path, suffix: str) -> Video:
        """Move an uploaded file (on the media volume, complete and on disk) into the catalogue and start the work.

        The file is in its place before the catalogue names it: a crash leaves a file too many, never a film too few.
        """
        new = self.check(new)
        video_id = await self._counters.next("videos")
        source = Path("videos", f"{video_id}{suffix}")
        await asyncio.to_thread(_move, upload, self._root / source)
        video = Video(
            id=video_id, title=new.title, description=new.description, category=new.category, source=str(source)
        )
        await self._videos.add(video)
        await self._engine.start(video_id)
        return video

    async def delete(self, video_id: int) -> None:
        """Forget the video and remove all of its files. Raises NotFound."""
        video = await self._videos.get(video_id)
        await self._videos.delete(video_id)
        await self._engine.cancel(video_id)
        await asyncio.to_thread(remove_files, self._root, video_id, video.source)


def remove_files(root: Path, video_id: int, source: str) -> None:
    """Everything that was ever written for this video. Safe to repeat."""
    for folder in (root / "hls" / str(video_id), root / "scratch" / str(video_id)):
        shutil.rmtree(folder, ignore_errors=True)
    for file in (root / "thumbnails" / f"{video_id}.jpg", root / source):
        file.unlink(missing_ok=True)


def _complaints(name: str, text: str) -> Iterable[str]:
    if name == "title" and not text:
        yield "This field may not be blank."
    if len(text) > _LONGEST[name]:
        yield f"Ensure this field has no more than {_LONGEST[name]} characters."
    if _MARKUP.search(text):
        yield "Markup is not allowed: leave out the < before a letter, /, ! or ?."
    if "\0" in text:
        yield "Null characters are not allowed."


def _move(upload: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    upload.rename(place)
    descriptor = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
