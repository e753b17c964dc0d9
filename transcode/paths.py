"""Paths of all files below the media folder. Tasks write into `scratch/`; `publishing` renames files into place.

videos/<video_id>.<suffix>                  the source as it was uploaded
hls/<video_id>/master.m3u8                  published from here on
hls/<video_id>/<rendition>/index.m3u8
hls/<video_id>/<rendition>/iframes.m3u8
hls/<video_id>/<rendition>/NNNN.ts
hls/<video_id>/audio<N>/                    index.m3u8 and NNNN.ts of audio track N; track 0 is in the renditions
hls/<video_id>/subs<N>/                     index.m3u8 and NNNN.vtt of subtitle track N, from 1
hls/<video_id>/storyboard/                  index.vtt and NNNN.jpg: small pictures for scrubbing
thumbnails/<video_id>.jpg
scratch/<video_id>/audio/NNNN.ts            the audio of chunk NNNN, until the video is finished
scratch/<video_id>/source.mkv               the streams of a source without an index, remuxed
scratch/<video_id>/attempts/<token>/        what one attempt at a task writes
scratch/uploads/                            uploads that are not videos yet
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
    """Return the folder of all published files of a video except its thumbnail.

    The probe creates it. A task that finds it missing must stop: the video was deleted.
    """
    return hls_dir(media_root) / str(video_id)


def rendition_dir(media_root: Path, video_id: int, rendition: str) -> Path:
    """Return the folder with the segments and playlists of one rendition."""
    return video_dir(media_root, video_id) / rendition


def segment_name(number: int) -> str:
    """Return the file name of a segment: four digits, more from 10000 on."""
    return f"{number:04d}.ts"


def subtitle_segment_name(number: int) -> str:
    """Return the file name of a segment of subtitles."""
    return f"{number:04d}.vtt"


def segment_path(media_root: Path, video_id: int, rendition: str, number: int) -> Path:
    """Return the path of one published segment."""
    return hls_dir(media_root).joinpath(*published_parts(video_id, rendition, segment_name(number)))


def audio_folder_name(number: int) -> str:
    """Return the folder name of an audio track that is not muxed with the picture; they are numbered from 1."""
    return f"audio{number}"


def subtitle_folder_name(number: int) -> str:
    """Return the folder name of a subtitle track; they are numbered from 1."""
    return f"subs{number}"


def track_dir(media_root: Path, video_id: int, folder_name: str) -> Path:
    """Return the folder of an audio or subtitle track, which is complete once its playlist exists."""
    return video_dir(media_root, video_id) / folder_name


def storyboard_dir(media_root: Path, video_id: int) -> Path:
    """Return the folder with small pictures for scrubbing and their index."""
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
    """Return the folder for files that are needed only while a video is being processed."""
    return media_root / SCRATCH_DIR / str(video_id)


def chunk_audio_dir(media_root: Path, video_id: int) -> Path:
    """Return the folder with one audio file per chunk."""
    return scratch_dir(media_root, video_id) / "audio"


def chunk_audio_path(media_root: Path, video_id: int, chunk: int) -> Path:
    """Return the path of one chunk's audio, which exists once it is complete."""
    return chunk_audio_dir(media_root, video_id) / segment_name(chunk)


def remuxed_path(media_root: Path, video_id: int) -> Path:
    """Return the path of the source's streams in a container with an index."""
    return scratch_dir(media_root, video_id) / "source.mkv"


def attempt_dir(media_root: Path, video_id: int, token: str) -> Path:
    """Return the scratch folder of one attempt; its worker removes it, or the sweeper does."""
    return scratch_dir(media_root, video_id) / "attempts" / token


def uploads_dir(media_root: Path) -> Path:
    """Return the folder that web processes write uploads into."""
    return media_root / SCRATCH_DIR / "uploads"
