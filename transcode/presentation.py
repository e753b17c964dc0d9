"""What is known of a film from its probe on. Everything else is computed from it, on any machine, at any time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

from transcode.grid import Grid
from transcode.ladder import Rendition

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """The picture: `width` and `height` as it is shown, colours as ffmpeg names them, "" when unknown.

    `lag`: seconds by which decoded frames are stamped too late, because the container holds no times to show them.
    `refresh`: seconds that are decoded before a wanted frame, of a source whose key frames are none, or whose picture
    becomes whole only some time after one. `plain_tags`: transfer and primaries are tagged as those of BT.709;
    films of earlier versions keep the tags that they began with, so that all their segments look the same. `fields`:
    "top" or "bottom" where every decoded picture is one field, in which case that is the first of a frame, else "".
    `parity`: "tff" or "bff" where pictures are interlaced and do not say so themselves, else "".
    """

    index: int
    width: int
    height: int
    interlaced: bool = False
    pixel_format: str = ""
    matrix: str = ""
    primaries: str = ""
    transfer: str = ""
    full_range: bool = False
    lag: float = 0.0
    refresh: float = 0.0
    plain_tags: bool = False
    fields: str = ""
    parity: str = ""

    @property
    def is_hdr(self) -> bool:
        """PQ (HDR10) or HLG."""
        return self.transfer in ("smpte2084", "arib-std-b67")


class Role(StrEnum):
    """What a track is for, where it is not simply the film's own sound or its translation."""

    NONE = ""
    DESCRIPTION = "description"  # audio description: what is seen is told, for people who cannot see it
    COMMENTARY = "commentary"
    HEARING_IMPAIRED = "hearing_impaired"  # clearer speech; of subtitles: sounds are written too (SDH)
    EFFECTS = "effects"  # without the dialogue, or without the song


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """One language or mix; the first of a timeline is the one that is muxed with the picture.

    `layout`: the order of its channels as ffmpeg names it, "" when it is not known. `right_index`: the stream that is
    the right side, of sound whose sides are two mono streams; None for all other sound.
    """

    index: int
    channels: int
    language: str = ""
    title: str = ""
    layout: str = ""
    role: str = Role.NONE
    right_index: int | None = None

    @property
    def indexes(self) -> tuple[int, ...]:
        """The source's streams that it is made of."""
        return (self.index,) if self.right_index is None else (self.index, self.right_index)


@dataclass(frozen=True, slots=True)
class SubtitleTrack:
    """Subtitles that are text."""

    index: int
    language: str = ""
    title: str = ""
    forced: bool = False
    role: str = Role.NONE


@dataclass(frozen=True, slots=True)
class Presentation:
    """A film as it will be published.

    `origin` is the source's time stamp of film time 0; `file_start` that of the source's earliest packet, from
    which ffmpeg counts when it seeks; both in seconds. `remuxed`: the source has no usable index, so that
    work is done on a copy of its streams in Matroska; `keyed`: the picture of the copy was encoded anew, for want of
    key frames. `copied`: the source's streams that are in the copy, in its order; empty for copies of versions that
    had no such list. `warning`: what its owner should know, in sentences, "" for nothing.
    """

    grid: Grid
    renditions: tuple[Rendition, ...]
    video: VideoTrack
    audio: tuple[AudioTrack, ...] = ()
    subtitles: tuple[SubtitleTrack, ...] = ()
    origin: float = 0.0
    file_start: float = 0.0
    remuxed: bool = False
    keyed: bool = False
    copied: tuple[int, ...] = ()
    warning: str = ""

    @property
    def rendition_names(self) -> tuple[str, ...]:
        """Smallest first."""
        return tuple(rendition.name for rendition in self.renditions)

    @property
    def segment_count(self) -> int:
        """Of each rendition."""
        return self.grid.segment_count

    @property
    def duration(self) -> float:
        """Seconds."""
        return float(self.grid.duration)

    @property
    def top_rendition(self) -> Rendition:
        """The largest rendition."""
        return self.renditions[-1]

    def rendition(self, name: str) -> Rendition:
        """By name. Raises KeyError."""
        return {rendition.name: rendition for rendition in self.renditions}[name]

    def as_json(self) -> dict[str, Any]:
        """For the catalogue."""
        fields = asdict(self)
        fields["grid"] = {"fps": str(self.grid.fps), "frames": self.grid.frame_count}
        return {"version": FORMAT_VERSION, **fields}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Presentation:
        """Back from `as_json`."""
        return cls(
            grid=Grid(Fraction(document["grid"]["fps"]), document["grid"]["frames"]),
            renditions=tuple(Rendition(**fields) for fields in document["renditions"]),
            video=VideoTrack(**document["video"]),
            audio=tuple(AudioTrack(**fields) for fields in document["audio"]),
            subtitles=tuple(SubtitleTrack(**fields) for fields in document["subtitles"]),
            origin=document["origin"],
            file_start=document["file_start"],
            remuxed=document["remuxed"],
            keyed=document.get("keyed", False),
            copied=tuple(document.get("copied", ())),
            warning=document.get("warning", ""),
        )
