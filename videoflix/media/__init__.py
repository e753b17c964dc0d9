"""The published files: which names exist, what serving caches about videos, and how files are opened."""

from transcode import RESOLUTIONS  # the names that frontends offer for every video

__all__ = ["RESOLUTIONS"]
