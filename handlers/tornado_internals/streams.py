"""The buffers of Tornado's streams."""

from __future__ import annotations

from tornado.iostream import IOStream


def written_bytes(stream: IOStream) -> int:
    """Return how many bytes the socket has taken since the stream was opened."""
    return stream._total_write_done_index


def buffered_bytes(stream: IOStream) -> int:
    """Return how many bytes have been received that nobody has read yet."""
    return stream._read_buffer_size


def buffered_tail(stream: IOStream, size: int) -> bytes:
    """Return the last `size` of the received bytes that nobody has read yet, or fewer."""
    return bytes(stream._read_buffer[-size:])
