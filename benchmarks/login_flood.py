"""Logins, as many as the server takes, in a process of their own: prints how many were answered 200, and how many not.

python -m benchmarks.login_flood URL EMAIL PASSWORD CONNECTIONS SECONDS
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from urllib.parse import urlsplit


async def main() -> None:
    """Each connection sends the next login when the last one is answered."""
    url, email, password, connections, seconds = sys.argv[1:]
    until = time.monotonic() + float(seconds)
    body = json.dumps({"email": email, "password": password}).encode()
    head = (
        f"POST /api/login/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    request = head.encode() + body
    results = await asyncio.gather(*(_client(url, request, until) for _ in range(int(connections))))
    print(json.dumps({"done": sum(done for done, _ in results), "refused": sum(refused for _, refused in results)}))


async def _client(url: str, request: bytes, until: float) -> tuple[int, int]:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    done = refused = 0
    while time.monotonic() < until:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        size = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(size.partition(b":")[2]))
        if time.monotonic() >= until:
            break
        if b" 200 " in head.partition(b"\r\n")[0]:
            done += 1
        else:
            refused += 1
    writer.close()
    return done, refused


if __name__ == "__main__":
    asyncio.run(main())
