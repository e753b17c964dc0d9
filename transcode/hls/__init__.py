"""What players read: playlists, subtitles, pictures for scrubbing; text in, text out."""
