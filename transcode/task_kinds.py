"""The kinds of tasks that turn an uploaded video into HLS; `transcode/tasks` has a module for each."""

from __future__ import annotations

from enum import StrEnum


class TaskKind(StrEnum):
    """A kind of task. Values are stored in Redis and in the database, so they must not change."""

    PROBE = "probe"  # inspects the source and publishes the playlists: the video is playable from then on
    AUDIO = "audio"  # encodes the audio of the whole video, one file per chunk
    CHUNK = "chunk"  # encodes a run of segments of every rendition
    SEGMENT = "segment"  # encodes one segment that a viewer waits for
    THUMBNAIL = "thumbnail"
    ALTERNATE_AUDIO = "tracks"  # encodes all audio tracks but the first
    SUBTITLES = "subtitles"
    LOUDNESS = "loudness"  # measures the loudness if the audio task could not
    IFRAMES = "iframes"  # writes I-frame playlists
    STORYBOARD = "storyboard"
    FINALIZE = "finish"  # measures the segments and publishes the final master playlist
