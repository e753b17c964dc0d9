"""Where everything lies below the media folder. Work is done in `scratch/` and renamed into place.

videos/<film>.<suffix>                      the source, as it was uploaded
hls/<film>/master.m3u8                      published from here on
hls/<film>/<rendition>/index.m3u8
hls/<film>/<rendition>/iframes.m3u8
hls/<film>/<rendition>/NNNN.ts
hls/<film>/audio<N>/                        index.m3u8 and NNNN.ts of sound track N; track 0 is in the renditions
hls/<film>/subs<N>/                         index.m3u8 and NNNN.vtt of subtitles N, from 1
hls/<film>/storyboard/                      index.vtt and NNNN.jpg: small pictures for scrubbing
thumbnails/<film>.jpg
scratch/<film>/audio/NNNN.ts                the sound of chunk NNNN, until the film is finished
scratch/<film>/source.mkv                   the streams of a source that cannot be sought in, remuxed
scratch/<film>/attempts/<token>/            what one attempt at a task writes
scratch/uploads/                            uploads that are no films yet
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path

MASTER = "master.m3u8"
MEDIA_PLAYLIST = "index.m3u8"
IFRAME_PLAYLIST = "iframes.m3u8"
STORYBOARD = "storyboard"
STORYBOARD_INDEX = "index.vtt"

# What file systems say that know no hard links: exFAT, some network shares.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS)


def film_dir(root: Path, film: int) -> Path:
    """All that is published of a film but its thumbnail. Made by the probe; who finds it gone must stop."""
    return root / "hls" / str(film)


def rendition_dir(root: Path, film: int, rendition: str) -> Path:
    """Segments and playlists of one rendition."""
    return film_dir(root, film) / rendition


def segment_name(number: int) -> str:
    """Four digits, more from 10000 on."""
    return f"{number:04d}.ts"


def words_name(number: int) -> str:
    """A piece of subtitles."""
    return f"{number:04d}.vtt"


def segment_path(root: Path, film: int, rendition: str, number: int) -> Path:
    """One published segment."""
    return rendition_dir(root, film, rendition) / segment_name(number)


def audio_track(number: int) -> str:
    """The folder of a sound track that is not muxed with the picture, numbered from 1."""
    return f"audio{number}"


def subtitle_track(number: int) -> str:
    """The folder of subtitles, numbered from 1."""
    return f"subs{number}"


def track_dir(root: Path, film: int, track: str) -> Path:
    """Of `audio_track` and `subtitle_track`; complete when its playlist is there."""
    return film_dir(root, film) / track


def storyboard_dir(root: Path, film: int) -> Path:
    """Small pictures for scrubbing, with their index."""
    return film_dir(root, film) / STORYBOARD


def thumbnail_path(root: Path, film: int) -> Path:
    """The published thumbnail."""
    return root / "thumbnails" / f"{film}.jpg"


def scratch_dir(root: Path, film: int) -> Path:
    """Everything that is needed only while a film is in work."""
    return root / "scratch" / str(film)


def audio_dir(root: Path, film: int) -> Path:
    """The sound, one file per chunk."""
    return scratch_dir(root, film) / "audio"


def audio_path(root: Path, film: int, chunk: int) -> Path:
    """The sound of one chunk; there when it is complete."""
    return audio_dir(root, film) / segment_name(chunk)


def remuxed_path(root: Path, film: int) -> Path:
    """The streams of the source in a container with an index."""
    return scratch_dir(root, film) / "source.mkv"


def attempt_dir(root: Path, film: int, token: str) -> Path:
    """Scratch space of one attempt; its owner removes it, or the sweeper does."""
    return scratch_dir(root, film) / "attempts" / token


def uploads_dir(root: Path) -> Path:
    """Where web processes write uploads."""
    return root / "scratch" / "uploads"


def remains(root: Path, film: int, source: str) -> list[Path]:
    """Everything that is there of a film; `source` below the media folder."""
    places = film_dir(root, film), scratch_dir(root, film), thumbnail_path(root, film), root / source
    return [place for place in places if place.exists()]


def remove(place: Path) -> None:
    """A file or a whole folder. Repeatable; what cannot be removed stays."""
    if place.is_dir():
        shutil.rmtree(place, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            place.unlink()


def publish(made: Path, place: Path) -> None:
    """Rename a finished file into its place, replacing what is there; it outlives a power cut from then on.

    Raises FileNotFoundError when the folder of the place is gone: the film was deleted.
    """
    to_disk(made)
    made.rename(place)


def publish_new(made: Path, place: Path) -> bool:
    """Like `publish`, but what is there already stays: it is at least as good. Returns whether nothing was there."""
    to_disk(made)
    try:
        place.hardlink_to(made)
        is_new = True
    except FileExistsError:
        is_new = False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        is_new = not place.exists()
        if is_new:  # what comes in at this very moment is replaced by the same pictures
            made.rename(place)
    made.unlink(missing_ok=True)
    return is_new


def publish_text(scratch: Path, place: Path, text: str) -> None:
    """Write a small file by way of a scratch folder."""
    made = scratch / f"{place.parent.name}-{place.name}"
    made.write_text(text, encoding="utf-8")
    publish(made, place)


def to_disk(path: Path) -> None:
    """Flush a file's bytes, or a folder's names: without it, a power cut may keep the one and lose the other."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
