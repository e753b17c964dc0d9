"""Videos become HLS: the segment grid, ffmpeg's arguments, the ledger (job queue) and the worker that empties it.

What is listed here is the public face: the rest of `transcode` is for itself, bootstrap and the command line.
"""

from transcode.file_lock import try_lock
from transcode.paths import fsync_path

__all__ = ["fsync_path", "try_lock"]
