"""Transport streams (ISO/IEC 13818-1, 2.4.3): where their packets begin."""

from __future__ import annotations

SIZES = (188, 192, 204)  # bytes: of plain ones, of Blu-rays and cameras, of those with error correction
RUN = 5  # packets in a row that are none by chance
_SYNC = b"G"


def beginning(data: bytes, size: int) -> int | None:
    """The place of the first of several packets of this size in a row; None when there are none."""
    starts = range(min(size, len(data)))
    return next((at for at in starts if data[at : at + RUN * size : size] == _SYNC * RUN), None)
