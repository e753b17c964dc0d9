"""Every name that is published for a film, in one place. What no pattern here matches does not exist for a client."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class FileKind(StrEnum):
    """What a published file is, by its suffix."""

    PLAYLIST = "m3u8"
    SEGMENT = "ts"
    WEBVTT = "vtt"
    IMAGE = "jpg"


RESOLUTIONS = ("480p", "720p", "1080p")  # the names that pages offer for every film
MASTER = "master.m3u8"
STORYBOARD = "storyboard/index.vtt"

_NUMBER = r"(?P<number>[0-9]{4}|[1-9][0-9]{4,6})"  # four digits, more from 10000 on
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?P<resolution>[0-9]{{3,4}}p)/(?:index\.m3u8|iframes\.m3u8|{_NUMBER}\.ts)",
        r"master\.m3u8",
        rf"audio[1-9][0-9]?/(?:index\.m3u8|{_NUMBER}\.ts)",
        rf"subs[1-9][0-9]?/(?:index\.m3u8|{_NUMBER}\.vtt)",
        rf"storyboard/(?:index\.vtt|{_NUMBER}\.jpg)",
    )
)
_KIND_BY_SUFFIX = {kind.value: kind for kind in FileKind}


@dataclass(frozen=True, slots=True)
class PublishedName:
    """A name below the folder of a film. `number` is set for pieces: segments, cues of a stretch, storyboard sheets."""

    folder: str  # "" for the film's own
    file_name: str
    kind: FileKind
    resolution: str | None = None
    number: int | None = None

    @property
    def is_index(self) -> bool:
        """Whether it names other files; the others are pieces, which never change again once the film is done."""
        return self.number is None


def parse_name(path: str) -> PublishedName | None:
    """The name that `480p/0000.ts` is; None when nothing of this name is ever published."""
    for pattern in _PATTERNS:
        if match := pattern.fullmatch(path):
            found = match.groupdict()
            folder, _, file = path.rpartition("/")
            number = found.get("number")
            kind = _KIND_BY_SUFFIX[file.rpartition(".")[2]]
            return PublishedName(folder, file, kind, found.get("resolution"), int(number) if number else None)
    return None
