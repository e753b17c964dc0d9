"""Slow viewers in a separate process. Print "watching" once all are served, and at the end the bytes received.

COOKIE=... python -m benchmarks.slow_viewers URL/ COUNT BYTES_PER_SECOND       (ends at the end of standard input)
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys

from benchmarks.load import read_slowly

_STARTS_PER_SECOND = 250
_SEGMENT_COUNT = 8


async def main() -> None:
    """Run until standard input is closed."""
    url, count, rate = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
    stop, headers = asyncio.Event(), {"Cookie": os.environ["COOKIE"]}
    viewers = []
    for number in range(count):
        address = f"{url}{number % _SEGMENT_COUNT:04d}.ts"
        viewers.append(asyncio.create_task(read_slowly(address, headers, rate, stop)))
        await asyncio.sleep(1 / _STARTS_PER_SECOND)
    await asyncio.sleep(2)
    print("watching", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    stop.set()
    print(sum(await asyncio.gather(*viewers)), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
