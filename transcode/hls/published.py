"""Read what is published of a video: the segments, playlists and tracks that exist in its folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from transcode import paths
from transcode.hls import bandwidth, playlists
from transcode.hls.bandwidth import Rates
from transcode.hls.playlists import AlternateMedia
from transcode.presentation import Presentation


@dataclass(frozen=True, slots=True)
class PublishedVideo:
    """The published files of a video; `folder` is `paths.video_dir`. Every call reads the folder again."""

    presentation: Presentation
    folder: Path

    @property
    def master_playlist_path(self) -> Path:
        """Path of the master playlist."""
        return self.folder / paths.MASTER_PLAYLIST

    def read_master_playlist(self) -> str:
        """Return the master playlist, "" while there is none."""
        return _read_text(self.master_playlist_path)

    def has_iframe_playlist(self) -> bool:
        """Return whether any rendition has an I-frame playlist: the video has been complete before."""
        names = self.presentation.rendition_names
        return any((self.folder / name / paths.IFRAME_PLAYLIST).exists() for name in names)

    def iframe_sizes(self) -> dict[str, dict[int, int]]:
        """Return the size in bytes of each I-frame by rendition and segment number; none without a playlist."""
        return {
            name: playlists.parse_iframes(_read_text(self.folder / name / paths.IFRAME_PLAYLIST))
            for name in self.presentation.rendition_names
        }

    def segment_sizes(self, rendition: str) -> dict[int, int]:
        """Return the size in bytes of each existing segment of a rendition, by number.

        Raise FileNotFoundError if the rendition's folder is gone.
        """
        numbers = {paths.segment_name(number): number for number in range(self.presentation.segment_count)}
        with os.scandir(self.folder / rendition) as entries:
            return {numbers[entry.name]: entry.stat().st_size for entry in entries if entry.name in numbers}

    def alternate_media(self) -> AlternateMedia:
        """Return the complete audio tracks and subtitles in folders of their own."""
        audio = self._complete_tracks(range(1, len(self.presentation.audio)), paths.audio_folder_name)
        subtitles = self._complete_tracks(range(1, len(self.presentation.subtitles) + 1), paths.subtitle_folder_name)
        rates = [self._audio_track_rates(number) for number in audio]
        peak = max((track.peak for track in rates), default=0)
        average = max((track.average for track in rates), default=0)
        return AlternateMedia(audio, subtitles, Rates(peak, average))

    def _complete_tracks(self, numbers: range, folder_name: Callable[[int], str]) -> tuple[int, ...]:
        return tuple(number for number in numbers if is_track_complete(self.folder / folder_name(number)))

    def _audio_track_rates(self, number: int) -> Rates:
        folder = self.folder / paths.audio_folder_name(number)
        segments = playlists.parse_segments((folder / paths.MEDIA_PLAYLIST).read_text())
        sizes = [(folder / name).stat().st_size for name in segments]
        return bandwidth.measure_rates(sizes, list(segments.values()), self.presentation.grid.target_duration)


def is_track_complete(folder: Path) -> bool:
    """Return whether an audio track or subtitles have a playlist and every segment that it lists."""
    try:
        names = playlists.parse_segments((folder / paths.MEDIA_PLAYLIST).read_text()).keys()
        return names <= {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return False


def _read_text(path: Path) -> str:
    """Return the text of a file, "" if there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
