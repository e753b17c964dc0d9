"""The files that players read: playlists, WebVTT subtitles and storyboards."""
