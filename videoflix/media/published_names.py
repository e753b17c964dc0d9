"""All file names that are published for a video. A name that matches no pattern here does not exist for clients."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class FileKind(StrEnum):
    """The type of a published file, by its suffix."""

    PLAYLIST = "m3u8"
    SEGMENT = "ts"
    WEBVTT = "vtt"
    IMAGE = "jpg"


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
    """A file name below the folder of a video.

    `number` is set for media: video, audio and subtitle segments, and images of the storyboard.
    """

    folder: str  # "" for the folder of the video
    file_name: str
    kind: FileKind
    resolution: str | None = None
    number: int | None = None

    @property
    def is_index(self) -> bool:
        """Whether the file lists other files. All others never change once the video is ready."""
        return self.number is None


def parse_name(path: str) -> PublishedName | None:
    """Parse a path such as `480p/0000.ts`. Return None if no file of this name is ever published."""
    for pattern in _PATTERNS:
        if match := pattern.fullmatch(path):
            groups = match.groupdict()
            folder, _, file_name = path.rpartition("/")
            number = groups.get("number")
            kind = _KIND_BY_SUFFIX[file_name.rpartition(".")[2]]
            return PublishedName(folder, file_name, kind, groups.get("resolution"), int(number) if number else None)
    return None
