"""How fast a film comes in over HTTP: python -m benchmarks.upload_speed [--mib 512] [--rounds 3]

In each round, one after the other and on the same disk: `dd conv=fsync` of a file of random bytes, and its upload to a
running Videoflix until the answer, with which the bytes are on the disk for certain. The ratio of the two is what the
way through the web process costs; `memory` is what that process grew by; its processor time says more than the
clock on a machine that is busy with other things. Look at several rounds, on a quiet machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.upload import upload
from tests.support.videoflix_process import running_videoflix

_MIB = 1024**2


def copied(film: Path, place: Path) -> float:
    """Seconds that dd takes."""
    begin = time.monotonic()
    subprocess.run(["dd", f"if={film}", f"of={place}", "bs=1M", "conv=fsync"], check=True, capture_output=True)
    seconds = time.monotonic() - begin
    place.unlink()
    return seconds


def processor_time(process: psutil.Process) -> float:
    """Seconds, in user and kernel mode."""
    times = process.cpu_times()
    return times.user + times.system


def compare(mib: int, rounds: int) -> None:
    """Print each round, and the median of the ratios."""
    ratios = []
    with tempfile.TemporaryDirectory() as name, running_videoflix(Path(name), "--no-demo") as site:
        cookie, film = site.log_in(), Path(name) / "film.bin"
        port, web = int(site.url.rpartition(":")[2]), site.child("web")
        with film.open("wb") as file:
            for _ in range(mib):
                file.write(os.urandom(_MIB))
        for _ in range(rounds):
            alone, before = copied(film, Path(name) / "copy"), web.memory_info().rss
            begin, worked = time.monotonic(), processor_time(web)
            video, _ = upload(port, film, cookie)
            seconds = time.monotonic() - begin
            grown = (web.memory_info().rss - before) / _MIB
            site.request(f"/api/admin/videos/{video}/", cookie=cookie, method="DELETE")
            ratios.append(alone / seconds)
            print(
                f"dd {mib / alone:.0f} MiB/s, upload {mib / seconds:.0f} MiB/s: "
                f"{100 * alone / seconds:.0f} %; memory {grown:+.1f} MiB, "
                f"{1024 / mib * (processor_time(web) - worked):.2f} s of processor time for a GiB",
                flush=True,
            )
    print(f"median {100 * statistics.median(ratios):.0f} % of what the disk takes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    compare(given.mib, given.rounds)
