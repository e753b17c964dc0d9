"""Build videos from recipes, each once per session, and read back what was published."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.support.ffprobe import DecodedPlaylist, SegmentPackets, decode_playlist, read_packets
from tests.support.sample_videos import Recipe
from tests.support.video_builder import VideoBuilder
from transcode.ffmpeg.binaries import FfmpegBinaries


@dataclass(frozen=True, slots=True)
class InspectedVideo:
    """A finished video: its builder, the packets of the smallest rendition's segments, and that rendition decoded."""

    builder: VideoBuilder
    segments: list[SegmentPackets]
    decoded: DecodedPlaylist


def build_and_inspect(tools: FfmpegBinaries, source: Path, folder: Path) -> InspectedVideo:
    """Build the video of a source and read back what was published."""
    builder = VideoBuilder(folder / "media", source, tools)
    builder.build()
    segments = [read_packets(tools, file) for file in builder.segment_paths()]
    playlist = builder.folder / "480p" / "index.m3u8"
    has_audio = bool(builder.presentation.audio)
    return InspectedVideo(builder, segments, decode_playlist(tools, playlist, folder, sound=has_audio))


class VideoFactory:
    """Builds each recipe's video once, in threads, so that tests inspect one while the next is built."""

    def __init__(self, tools: FfmpegBinaries, folder: Path, threads: ThreadPoolExecutor) -> None:
        self._tools = tools
        self._folder = folder
        self._threads = threads
        self._videos: dict[str, Future[InspectedVideo]] = {}

    def submit(self, recipe: Recipe) -> Future[InspectedVideo]:
        """Start building a video, unless it was started before."""
        if recipe.name not in self._videos:
            self._videos[recipe.name] = self._threads.submit(self._build, recipe)
        return self._videos[recipe.name]

    def _build(self, recipe: Recipe) -> InspectedVideo:
        folder = self._folder / recipe.name
        folder.mkdir()
        return build_and_inspect(self._tools, recipe.make(self._tools, folder), folder)
