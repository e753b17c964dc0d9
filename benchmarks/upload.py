"""Upload a video over HTTP, as an admin's browser does."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

_CHUNK_BYTES = 1 << 20


def upload(port: int, video_path: Path, cookie: str) -> tuple[int, float]:
    """Upload a video. Return its id, and when its last byte was sent (time.monotonic())."""
    boundary, sent_at = uuid.uuid4().hex, 0.0
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{video_path.name}"\r\n\r\n'.encode()
    tail = f"\r\n--{boundary}--\r\n".encode()

    def body() -> Iterator[bytes]:
        nonlocal sent_at
        yield head
        with video_path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk
        yield tail
        sent_at = time.monotonic()

    connection = HTTPConnection("127.0.0.1", port, timeout=600)
    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}", "Cookie": cookie,
        "Content-Length": str(len(head) + video_path.stat().st_size + len(tail)),
    }  # fmt: skip
    connection.request("POST", "/api/admin/videos/", body(), headers)
    response = connection.getresponse()
    video = json.loads(response.read())
    connection.close()
    assert response.status == 201, video
    return int(video["id"]), sent_at
