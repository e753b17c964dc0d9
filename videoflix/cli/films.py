"""Films from the terminal."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from transcode.errors import MediaError
from transcode.source.probe import probe
from transcode.tools import Tools
from videoflix.cli.context import DataDir, settings_here
from videoflix.composition.root import open_services
from videoflix.embedded.binaries import ffmpeg_tools
from videoflix.errors import CommandError, NotFound
from videoflix.models import NewVideo, Video, VideoStatus
from videoflix.ports import Work
from videoflix.services import Services
from videoflix.settings import Settings
from videoflix.uploads import suffix_of, title_of

File = Annotated[Path, typer.Argument(metavar="FILE", help="The film.")]
Title = Annotated[str | None, typer.Option(help="Its title; by default the file's name.")]
Category = Annotated[str, typer.Option(help="Its category.")]
Description = Annotated[str, typer.Option(help="What it is about.")]
Wait = Annotated[bool, typer.Option("--wait", help="Stay until all renditions are done.")]

_LOOK_AGAIN = 0.5  # seconds
_PIECE = 4 * 1024 * 1024  # bytes that are copied at once


def import_film(
    file: File,
    title: Title = None,
    category: Category = "",
    description: Description = "",
    wait: Wait = False,
    data_dir: DataDir = None,
) -> None:
    """Take a film in."""
    _look_at(file)
    settings = settings_here(data_dir)
    new = NewVideo(title=title or title_of(file.name), description=description, category=category)
    asyncio.run(_import(settings, file, file.stat().st_size, new, wait))


def jobs(data_dir: DataDir = None) -> None:
    """Show what is being done, and what became of it."""
    asyncio.run(_jobs(settings_here(data_dir)))


def _look_at(file: Path) -> None:
    """Refuse what is no film before anything is copied. Raises CommandError."""
    if not file.exists():
        raise CommandError(f"There is no file {file}.")
    if not file.is_file():
        raise CommandError(f"{file} is no file but a {'folder' if file.is_dir() else 'pipe or a device'}.")
    if file.stat().st_size == 0:
        raise CommandError(f"The file {file} is empty.")
    try:
        probe(file.resolve(), Tools(*ffmpeg_tools()))
    except MediaError as error:
        raise CommandError(f"{file}: {error.sentence}") from None


async def _import(settings: Settings, file: Path, size: int, new: NewVideo, wait: bool) -> None:
    with _progress() as progress:
        async with open_services(settings) as services:
            new = services.catalogue.check(new)
            bar = progress.add_task("copying", total=size)
            upload = await _copy(services, file, size, progress, bar)
            try:
                video = await services.catalogue.take_in(new, upload, suffix_of(file.name))
            finally:
                upload.unlink(missing_ok=True)  # still there when it was not taken in
            progress.console.print(f"“{video.title}” is video {video.id}.", markup=False)
            if wait:
                await _follow(services, video.id, progress, bar)


async def _copy(services: Services, file: Path, size: int, progress: Progress, bar: TaskID) -> Path:
    """Piece by piece, so that Ctrl-C ends it at once; nothing is left of a copy that was not completed."""
    place = services.uploads.place(size)
    try:
        with file.open("rb") as source, place.open("wb") as target:
            services.uploads.claim(target)
            while piece := await asyncio.to_thread(source.read, _PIECE):
                await asyncio.to_thread(target.write, piece)
                progress.advance(bar, len(piece))
        shutil.copystat(file, place)
        await asyncio.to_thread(services.uploads.secure, place)
    except BaseException as error:
        place.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise CommandError(f"{file} could not be copied: {error.strerror}.") from None
        raise
    return place


async def _follow(services: Services, video_id: int, progress: Progress, bar: TaskID) -> None:
    progress.update(bar, description="encoding", total=100, completed=0)
    while (video := await _current(services, video_id)).status is VideoStatus.PROCESSING:
        work = (await services.engine.progress([video_id])).get(video_id, Work())
        doing = "playable" if video.playable else "encoding"
        progress.update(bar, completed=work.percent, description=(work.waits_for and "waiting") or doing)
        await asyncio.sleep(_LOOK_AGAIN)
    if video.status is VideoStatus.FAILED:
        raise CommandError(f"The film could not be made: {video.error}")
    progress.update(bar, completed=100, description="ready")
    if video.warnings:
        progress.console.print(f"[yellow]{video.warnings}")


async def _current(services: Services, video_id: int) -> Video:
    try:
        return await services.catalogue.get(video_id)
    except NotFound:
        raise CommandError("The film was deleted meanwhile.") from None


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description:>9}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn()
    )


async def _jobs(settings: Settings) -> None:
    async with open_services(settings) as services:
        found = await services.engine.jobs()
    if not found:
        typer.echo("There are no jobs.")
        return
    table = Table("film", "state", "progress", "tasks", "error")
    for job in found:
        table.add_row(*_row(job))
    Console(markup=False).print(table)


def _row(job: Mapping[str, Any]) -> list[str]:
    counts: dict[str, int] = {}
    for task in job["tasks"]:
        counts[task["state"]] = counts.get(task["state"], 0) + 1
    tasks = ", ".join(f"{number} {state}" for state, number in counts.items())
    return [str(job["film"]), job["state"], f"{job['progress']:.0f} %", tasks, job.get("error") or ""]
