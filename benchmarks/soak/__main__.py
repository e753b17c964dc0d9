"""The command line of the soak test: one run and its report. Exit status 1 if a promise was broken."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from random import Random

import benchmarks.soak
from benchmarks.soak import samples
from benchmarks.soak.client import CheckedClient
from benchmarks.soak.faults import FaultInjector
from benchmarks.soak.invariants import Invariants
from benchmarks.soak.record import SoakReport
from benchmarks.soak.site import Site
from benchmarks.soak.strangers import LoopWatch, Stranger
from benchmarks.soak.users import Mailbox, Person, session_of
from benchmarks.soak.videos import Admin, Viewer
from tests.support.disks import small_disk
from transcode.ffmpeg.binaries import FfmpegBinaries
from videoflix.embedded.binaries import find_ffmpeg_binaries

_DISK_MB = 320
_SETTINGS = {"WEB_PROCESSES": "2", "RATE_LIMIT_FACTOR": "10000", "WORKER_SLOTS": "1"}


async def soak(
    site: Site, report: SoakReport, seed: int, duration_s: float, binaries: FfmpegBinaries, *, can_fill: bool
) -> None:
    """Run all actors and faults; then recover, and check the invariants."""
    over, calm, crashing = asyncio.Event(), asyncio.Event(), asyncio.Lock()
    keeping = asyncio.create_task(site.keep_second_worker())
    kinds = await asyncio.to_thread(samples.make_samples, binaries, site.folder / "sources")
    token = await _sign_in(site, report)
    mails = Mailbox(site.folder / "var" / "mail")
    admins = [Admin(site, report, kinds, Random(f"{seed} admin {n}"), token) for n in range(2)]
    writers = [Admin(site, report, kinds, Random(f"{seed} writer {n}"), token) for n in range(3)]
    viewers = [Viewer(site, report, Random(f"{seed} viewer {n}"), token) for n in range(4)]
    asker = CheckedClient(site.instance.url, report)
    people = [Person(f"person{n}@example.org", asker, mails, report, Random(f"{seed} person {n}")) for n in range(8)]
    strangers = [Stranger(site, report, Random(f"{seed} stranger {n}")) for n in range(2)]
    faults = [
        FaultInjector(site, report, Random(f"{seed} faults {n}"), writer, crashing, can_fill=can_fill)
        for n, writer in enumerate(writers)
    ]
    living = [
        asyncio.create_task(one.run(over)) for one in (*admins, *viewers, *people, *strangers, LoopWatch(site, report))
    ]
    breaking = [asyncio.create_task(one.run(calm)) for one in faults]
    await asyncio.wait([*living, *breaking], timeout=duration_s, return_when=asyncio.FIRST_EXCEPTION)
    calm.set()
    await asyncio.gather(*breaking)
    report.log_event("the faults are over")
    over.set()
    await asyncio.gather(*living)
    await Invariants(site, report, admins[0], people, binaries).check()
    keeping.cancel()


async def _sign_in(site: Site, report: SoakReport) -> str:
    body = {"email": site.banner["Sign in"], "password": site.banner["Password"]}
    answer = await CheckedClient(site.instance.url, report).request("POST", "/api/login/", body)
    return session_of(answer).access


def main() -> int:
    """Run the soak test. Return 1 as exit status if there are violations."""
    parser = argparse.ArgumentParser(description=benchmarks.soak.__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--keep", type=Path, help="a folder for the logs and the story of this run")
    options = parser.parse_args()
    os.environ.update(_SETTINGS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    record = SoakReport()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-"))).resolve() / "disk"
        can_fill = _mount(stack, folder)
        os.environ["TMPDIR"] = str(folder / "tmp")
        (folder / "tmp").mkdir()
        site = Site(folder)
        try:
            asyncio.run(
                soak(
                    site,
                    record,
                    options.seed,
                    options.minutes * 60,
                    FfmpegBinaries(*find_ffmpeg_binaries()),
                    can_fill=can_fill,
                )
            )
        finally:
            for stray in site.stop():
                record.report_violation(f"still running: {stray}")
            if options.keep:
                _write_logs(options.keep, site, record)
    _print_report(options.seed, record)
    return 1 if record.violations else 0


def _mount(stack: ExitStack, folder: Path) -> bool:
    """Mount a small volume for the site, if this user may. Return whether it was mounted."""
    try:
        stack.enter_context(small_disk(folder, _DISK_MB))
    except OSError as error:
        print(f"no disk will be full: {error}")
        return False
    return True


def _write_logs(folder: Path, site: Site, report: SoakReport) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "site.log").write_text(site.output())
    (folder / "story.txt").write_text("\n".join(report.events))
    for log in (site.folder / "var").glob("*.log"):
        shutil.copy(log, folder)


def _print_report(seed: int, report: SoakReport) -> None:
    for name, number in sorted(report.counts.items()):
        if not name.startswith("tried"):
            print(f"{number:6} {name}")
    for complaint in report.violations:
        print(f"! {complaint}")
    print(f"seed {seed}: {len(report.violations)} violations")


if __name__ == "__main__":
    sys.exit(main())
