"""Publish the master playlist for what exists of a video so far. Most tasks do this as their last step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from transcode import paths, publishing
from transcode.hls import bandwidth, playlists
from transcode.hls.playlists import AlternateMedia, VariantRates
from transcode.hls.published import PublishedVideo
from transcode.presentation import Presentation
from transcode.tasks.context import TaskContext

# Every one of the first chunks updates the master playlist: with so few, each changes the bandwidths noticeably.
_EARLY_CHUNKS = 16


@dataclass(frozen=True, slots=True)
class MasterPlaylist:
    """Contents of a master playlist: bit rates of the renditions by name, and the tracks in folders of their own."""

    renditions: Mapping[str, VariantRates]
    alternate_media: AlternateMedia


def publish_master(context: TaskContext, *, is_complete: bool = False) -> MasterPlaylist:
    """Publish the master playlist for the files that exist now, unless it is up to date. Return its contents.

    Bandwidths are estimated until the video has been complete once (`is_complete`, or all I-frame playlists exist),
    and measured from then on, also after a restart. Another process may publish at the same time, from an older state
    of the folder; so the folder is read again after every write until nothing changes.
    """
    published = PublishedVideo(context.presentation, paths.video_dir(context.media_root, context.video_id))
    while True:
        master = _read_published(published, is_complete)
        text = playlists.master_playlist(context.presentation, master.renditions, master.alternate_media)
        if published.read_master_playlist() == text:
            publishing.fsync_path(published.folder)
            return master
        publishing.publish_text(context.scratch_dir, published.master_playlist_path, text)


def publish_master_after_chunk(context: TaskContext, sizes: Mapping[str, Mapping[int, int]]) -> None:
    """Update the master playlist after a chunk, if needed. `sizes` are bytes by rendition and segment number.

    Reading all segments after every chunk would take quadratic time, and after the first chunks the bandwidths hardly
    change. So a later chunk updates the playlist only if its own segments exceed the listed bandwidths, if its index is
    a power of two, or if the video has been complete before (bandwidths are exact then).
    """
    published = PublishedVideo(context.presentation, paths.video_dir(context.media_root, context.video_id))
    is_due = context.index < _EARLY_CHUNKS or context.index.bit_count() == 1
    if (
        is_due
        or published.has_iframe_playlist()
        or not _covers(published.read_master_playlist(), context.presentation, sizes)
    ):
        publish_master(context)


def _covers(master: str, presentation: Presentation, sizes: Mapping[str, Mapping[int, int]]) -> bool:
    """Return whether the bandwidths in a master playlist are at least the peak rates of these segments.

    Listed bandwidths include the largest alternate audio track, if there is any.
    """
    listed = playlists.parse_bandwidths(master)
    alternate_audio = bandwidth.ALTERNATE_AUDIO_PEAK_BPS if "TYPE=AUDIO" in master else 0
    peaks = {name: bandwidth.measure_segments(segments, presentation.grid).peak for name, segments in sizes.items()}
    return all(peak + alternate_audio <= listed.get(name, 0) for name, peak in peaks.items())


def _read_published(published: PublishedVideo, is_complete: bool) -> MasterPlaylist:
    return MasterPlaylist(_variant_rates(published, is_complete), published.alternate_media())


def _variant_rates(published: PublishedVideo, is_complete: bool) -> dict[str, VariantRates]:
    presentation = published.presentation
    grid, has_audio = presentation.grid, bool(presentation.audio)
    rates: dict[str, VariantRates] = {}
    iframe_sizes = published.iframe_sizes()
    is_measured = is_complete or all(iframe_sizes.values())
    for rendition in presentation.renditions:
        sizes, iframes = published.segment_sizes(rendition.name), iframe_sizes[rendition.name]
        if is_measured and sizes:
            iframe_rates = bandwidth.measure_segments(iframes, grid) if iframes else None
            rates[rendition.name] = VariantRates(bandwidth.measure_segments(sizes, grid), iframe_rates)
        else:
            worst_case = bandwidth.worst_case_rates(rendition, has_audio)
            rates[rendition.name] = VariantRates(bandwidth.estimate_rates(sizes, grid, worst_case))
    return rates
