"""The presentation of a video: what its probe found out about the source, and the grid and renditions chosen for it.

Plans, playlists and tasks are computed from it alone, so any machine computes the same at any time.
"""

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
    """The video track of the source.

    `width` and `height` are those of the displayed picture. Colours are named as ffmpeg names them; "" is unknown.

    * `lag`: seconds by which the timestamps of decoded frames are late, because the container stores no presentation
      times.
    * `refresh`: seconds to decode before a wanted frame, if the source's key frames are not real ones or if the picture
      is complete only some time after one.
    * `plain_tags`: transfer and primaries are tagged as BT.709. Videos of earlier versions keep the tags that their
      first segments have, so that all segments look the same.
    * `fields`: "top" or "bottom" if every decoded picture is a single field; it names the first field of a frame.
      "" otherwise.
    * `parity`: "tff" or "bff" if pictures are interlaced without being marked so, "" otherwise.
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
        """Whether the transfer function is PQ (HDR10) or HLG."""
        return self.transfer in ("smpte2084", "arib-std-b67")


class Role(StrEnum):
    """The purpose of a track that is neither the original audio nor a plain translation."""

    NONE = ""
    DESCRIPTION = "description"  # audio description: narrates the picture for people who cannot see it
    COMMENTARY = "commentary"
    HEARING_IMPAIRED = "hearing_impaired"  # clearer speech; subtitles that also describe sounds (SDH)
    EFFECTS = "effects"  # music and effects without dialogue; karaoke subtitles


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """One language or mix. The first track of a presentation is muxed into the renditions.

    `layout` is ffmpeg's name of the channel layout, "" if unknown. `right_index` is the stream with the right channel
    if left and right are two mono streams, None otherwise.
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
        """Indexes of the source's streams that make up this track."""
        return (self.index,) if self.right_index is None else (self.index, self.right_index)


@dataclass(frozen=True, slots=True)
class SubtitleTrack:
    """A track of text subtitles."""

    index: int
    language: str = ""
    title: str = ""
    forced: bool = False
    role: str = Role.NONE


@dataclass(frozen=True, slots=True)
class Presentation:
    """A video as it will be published. Times are in seconds.

    * `origin`: the source's timestamp at video time 0.
    * `file_start`: the timestamp of the source's earliest packet, from which ffmpeg counts when it seeks.
    * `remuxed`: the source has no usable index, so tasks read a working copy of its streams in Matroska.
    * `keyed`: the video of the working copy was encoded again because the source has too few key frames.
    * `copied`: indexes of the source's streams in the working copy, in its order; empty for copies made by versions
      that kept no such list.
    * `warning`: sentences for the admin, "" if there is nothing to say.
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
        """Names of the renditions, smallest first."""
        return tuple(rendition.name for rendition in self.renditions)

    @property
    def segment_count(self) -> int:
        """Number of segments of each rendition."""
        return self.grid.segment_count

    @property
    def duration(self) -> float:
        """Duration in seconds."""
        return float(self.grid.duration)

    @property
    def top_rendition(self) -> Rendition:
        """The largest rendition."""
        return self.renditions[-1]

    def rendition(self, name: str) -> Rendition:
        """Return a rendition by name. Raise KeyError if there is none."""
        return {rendition.name: rendition for rendition in self.renditions}[name]

    def as_json(self) -> dict[str, Any]:
        """Return the presentation as it is stored in the catalogue."""
        fields = asdict(self)
        fields["grid"] = {"fps": str(self.grid.fps), "frames": self.grid.frame_count}
        return {"version": FORMAT_VERSION, **fields}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Presentation:
        """Read what `as_json` returned, in this or an earlier version."""
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
