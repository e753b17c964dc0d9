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

from pathlib import Path

SOURCES_DIR, HLS_DIR, THUMBNAILS_DIR, SCRATCH_DIR = "videos", "hls", "thumbnails", "scratch"
PUBLISHED_DIRS = (SOURCES_DIR, HLS_DIR, THUMBNAILS_DIR)  # whatever lies in them belongs to a video

MASTER_PLAYLIST = "master.m3u8"
MEDIA_PLAYLIST = "index.m3u8"
IFRAME_PLAYLIST = "iframes.m3u8"
STORYBOARD_DIR = "storyboard"
STORYBOARD_INDEX = "index.vtt"


def source_path(video_id: int, suffix: str) -> Path:
    """Return where the source of a video lies, relative to the media folder."""
    return Path(SOURCES_DIR, f"{video_id}{suffix}")


def hls_dir(media_root: Path) -> Path:
    """Return the folder with one folder of published files for each video."""
    return media_root / HLS_DIR


def published_parts(video_id: int, folder_name: str, file_name: str) -> tuple[str, ...]:
    """Return the components of a published file's path below `hls_dir`; `folder_name` is "" for the master playlist."""
    return (str(video_id), folder_name, file_name) if folder_name else (str(video_id), file_name)


def video_dir(media_root: Path, video_id: int) -> Path:
    """All that is published of a film but its thumbnail. Made by the probe; who finds it gone must stop."""
    return hls_dir(media_root) / str(video_id)


def rendition_dir(media_root: Path, video_id: int, rendition: str) -> Path:
    """Segments and playlists of one rendition."""
    return video_dir(media_root, video_id) / rendition


def segment_name(number: int) -> str:
    """Four digits, more from 10000 on."""
    return f"{number:04d}.ts"


def subtitle_segment_name(number: int) -> str:
    """A piece of subtitles."""
    return f"{number:04d}.vtt"


def segment_path(media_root: Path, video_id: int, rendition: str, number: int) -> Path:
    """Return the path of one published segment."""
    return hls_dir(media_root).joinpath(*published_parts(video_id, rendition, segment_name(number)))


def audio_folder_name(number: int) -> str:
    """The folder of a sound track that is not muxed with the picture, numbered from 1."""
    return f"audio{number}"


def subtitle_folder_name(number: int) -> str:
    """The folder of subtitles, numbered from 1."""
    return f"subs{number}"


def track_dir(media_root: Path, video_id: int, folder_name: str) -> Path:
    """Of `audio_track` and `subtitle_track`; complete when its playlist is there."""
    return video_dir(media_root, video_id) / folder_name


def storyboard_dir(media_root: Path, video_id: int) -> Path:
    """Small pictures for scrubbing, with their index."""
    return video_dir(media_root, video_id) / STORYBOARD_DIR


def thumbnails_dir(media_root: Path) -> Path:
    """Return the folder of the published thumbnails."""
    return media_root / THUMBNAILS_DIR


def thumbnail_name(video_id: int) -> str:
    """Return the file name of a video's thumbnail."""
    return f"{video_id}.jpg"


def thumbnail_path(media_root: Path, video_id: int) -> Path:
    """Return the path of the published thumbnail."""
    return thumbnails_dir(media_root) / thumbnail_name(video_id)


def scratch_dir(media_root: Path, video_id: int) -> Path:
    """Everything that is needed only while a film is in work."""
    return media_root / SCRATCH_DIR / str(video_id)


def chunk_audio_dir(media_root: Path, video_id: int) -> Path:
    """The sound, one file per chunk."""
    return scratch_dir(media_root, video_id) / "audio"


def chunk_audio_path(media_root: Path, video_id: int, chunk: int) -> Path:
    """The sound of one chunk; there when it is complete."""
    return chunk_audio_dir(media_root, video_id) / segment_name(chunk)


def remuxed_path(media_root: Path, video_id: int) -> Path:
    """The streams of the source in a container with an index."""
    return scratch_dir(media_root, video_id) / "source.mkv"


def attempt_dir(media_root: Path, video_id: int, token: str) -> Path:
    """Scratch space of one attempt; its owner removes it, or the sweeper does."""
    return scratch_dir(media_root, video_id) / "attempts" / token


def uploads_dir(media_root: Path) -> Path:
    """Where web processes write uploads."""
    return media_root / SCRATCH_DIR / "uploads"
