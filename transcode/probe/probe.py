"""The probe of an uploaded file: everything that is examined before work on it begins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.probe import checks
from transcode.probe.damage import assess_damage, measure_garbage
from transcode.probe.encryption import reject_encrypted, reject_encryption_keys
from transcode.probe.mp4 import max_composition_delay, read_moov
from transcode.probe.sampling import sample_source
from transcode.probe.source import Source, describe_source

_MAX_COMPOSITION_DELAY_S = 0.5  # between decoding and presentation; B-frames at usual rates need less


def probe_source(path: Path, binaries: FfmpegBinaries) -> Source:
    """Examine a file and return its description. Raises MediaError with the reason if it is rejected."""
    assess_damage(measure_garbage(path))  # first, because ffmpeg searches garbage slowly for anything readable
    moov = read_moov(path)
    reject_encrypted(path, moov)
    source = describe_source(path, binaries)
    reject_encryption_keys(source)
    if source.is_format("mov"):  # as in a screen recording with B-frames, in which nothing changes for a while
        source = replace(source, has_long_frame_delay=max_composition_delay(moov) > _MAX_COMPOSITION_DELAY_S)
    checks.check_video_stream(source)
    checks.check_file_size(path)
    checks.check_video_decodes(path, source, binaries)
    source = checks.mark_undecodable_audio(path, source, binaries)
    if source.is_seekable:
        source = checks.check_end(path, source, binaries)
        checks.check_duration_limit(source)
    return sample_source(path, source, binaries) if source.is_seekable else source
