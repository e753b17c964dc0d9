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
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.probe.checks import probe_source
from videoflix.bootstrap.services import open_services
from videoflix.cli.context import DataDirOption, load_command_settings
from videoflix.embedded.binaries import find_ffmpeg_binaries
from videoflix.errors import CommandError, NotFound
from videoflix.models import NewVideo, Video, VideoStatus
from videoflix.ports import EncodingProgress
from videoflix.services import Services
from videoflix.settings import Settings
from videoflix.upload_storage import default_title, safe_suffix

File = Annotated[Path, typer.Argument(metavar="FILE", help="The film.")]
Title = Annotated[str | None, typer.Option(help="Its title; by default the file's name.")]
Category = Annotated[str, typer.Option(help="Its category.")]
Description = Annotated[str, typer.Option(help="What it is about.")]
Wait = Annotated[bool, typer.Option("--wait", help="Stay until all renditions are done.")]

_POLL_INTERVAL_S = 0.5  # seconds
_COPY_CHUNK_BYTES = 4 * 1024 * 1024  # bytes that are copied at once


def import_video(
    file: File,
    title: Title = None,
    category: Category = "",
    description: Description = "",
    wait: Wait = False,
    data_dir: DataDirOption = None,
) -> None:
    """Take a film in."""
    _require_video(file)
    settings = load_command_settings(data_dir)
    new = NewVideo(title=title or default_title(file.name), description=description, category=category)
    asyncio.run(_import(settings, file, file.stat().st_size, new, wait))


def jobs(data_dir: DataDirOption = None) -> None:
    """Show what is being done, and what became of it."""
    asyncio.run(_jobs(load_command_settings(data_dir)))


def _require_video(file: Path) -> None:
    """Refuse what is no film before anything is copied. Raises CommandError."""
    if not file.exists():
        raise CommandError(f"There is no file {file}.")
    if not file.is_file():
        raise CommandError(f"{file} is no file but a {'folder' if file.is_dir() else 'pipe or a device'}.")
    if file.stat().st_size == 0:
        raise CommandError(f"The file {file} is empty.")
    try:
        probe_source(file.resolve(), FfmpegBinaries(*find_ffmpeg_binaries()))
    except MediaError as error:
        raise CommandError(f"{file}: {error.message}") from None


async def _import(settings: Settings, file: Path, size: int, new_video: NewVideo, wait: bool) -> None:
    with _make_progress_bar() as progress:
        async with open_services(settings) as services:
            new_video = services.catalogue.validate(new_video)
            bar = progress.add_task("copying", total=size)
            upload = await _copy(services, file, size, progress, bar)
            try:
                video = await services.catalogue.import_upload(new_video, upload, safe_suffix(file.name))
            finally:
                upload.unlink(missing_ok=True)  # still there when it was not taken in
            progress.console.print(f"“{video.title}” is video {video.id}.", markup=False)
            if wait:
                await _show_progress(services, video.id, progress, bar)


async def _copy(services: Services, file: Path, size: int, progress: Progress, bar: TaskID) -> Path:
    """Piece by piece, so that Ctrl-C ends it at once; nothing is left of a copy that was not completed."""
    place = services.uploads.allocate_path(size)
    try:
        with file.open("rb") as source, place.open("wb") as target:
            services.uploads.lock(target)
            while piece := await asyncio.to_thread(source.read, _COPY_CHUNK_BYTES):
                await asyncio.to_thread(target.write, piece)
                progress.advance(bar, len(piece))
        shutil.copystat(file, place)
        await asyncio.to_thread(services.uploads.sync_to_disk, place)
    except BaseException as error:
        place.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise CommandError(f"{file} could not be copied: {error.strerror}.") from None
        raise
    return place


async def _show_progress(services: Services, video_id: int, progress: Progress, bar: TaskID) -> None:
    progress.update(bar, description="encoding", total=100, completed=0)
    while (video := await _get_video(services, video_id)).status is VideoStatus.PROCESSING:
        work = (await services.engine.progress([video_id])).get(video_id, EncodingProgress())
        doing = "playable" if video.is_playable else "encoding"
        progress.update(bar, completed=work.percent, description=(work.pause_reason and "waiting") or doing)
        await asyncio.sleep(_POLL_INTERVAL_S)
    if video.status is VideoStatus.FAILED:
        raise CommandError(f"The film could not be made: {video.error}")
    progress.update(bar, completed=100, description="ready")
    if video.warnings:
        progress.console.print(f"[yellow]{video.warnings}")


async def _get_video(services: Services, video_id: int) -> Video:
    try:
        return await services.catalogue.get(video_id)
    except NotFound:
        raise CommandError("The film was deleted meanwhile.") from None


def _make_progress_bar() -> Progress:
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
        table.add_row(*_job_row(job))
    Console(markup=False).print(table)


def _job_row(job: Mapping[str, Any]) -> list[str]:
    counts: dict[str, int] = {}
    for task in job["tasks"]:
        counts[task["state"]] = counts.get(task["state"], 0) + 1
    tasks = ", ".join(f"{number} {state}" for state, number in counts.items())
    return [str(job["film"]), job["state"], f"{job['progress']:.0f} %", tasks, job.get("error") or ""]
