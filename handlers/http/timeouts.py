"""Time limits that several modules share, in seconds."""

from __future__ import annotations

LINGER_TIMEOUT_S = 30.0  # for a refused client to take its response and to stop sending; nginx's lingering_time
WRITE_TIMEOUT_S = 60.0  # for a client to take any further byte of its response; nginx's send_timeout
