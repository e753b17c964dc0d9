"""`videoflix import` and `videoflix jobs`: import a video, and list transcoding jobs."""

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
from transcode.probe.probe import probe_source
from videoflix.bootstrap.services import open_services
from videoflix.catalogue.validation import default_title
from videoflix.cli.context import DataDirOption, load_command_settings
from videoflix.embedded.binaries import find_ffmpeg_binaries
from videoflix.errors import CommandError, NotFound
from videoflix.models import NewVideo, Video, VideoStatus
from videoflix.services import Services
from videoflix.settings import Settings
from videoflix.upload_storage import safe_suffix

File = Annotated[Path, typer.Argument(metavar="FILE", help="Video file to import.")]
Title = Annotated[str | None, typer.Option(help="Title; by default the file name.")]
Category = Annotated[str, typer.Option(help="Category.")]
Description = Annotated[str, typer.Option(help="Description.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until all renditions are ready.")]

_POLL_INTERVAL_S = 0.5
_COPY_CHUNK_BYTES = 4 * 1024 * 1024


def import_video(
    file: File,
    title: Title = None,
    category: Category = "",
    description: Description = "",
    wait: Wait = False,
    data_dir: DataDirOption = None,
) -> None:
    """Import a video."""
    _require_video(file)
    settings = load_command_settings(data_dir)
    new = NewVideo(title=title or default_title(file.name), description=description, category=category)
    asyncio.run(_import(settings, file, file.stat().st_size, new, wait))


def jobs(data_dir: DataDirOption = None) -> None:
    """List transcoding jobs and their results."""
    asyncio.run(_list_jobs(load_command_settings(data_dir)))


def _require_video(file: Path) -> None:
    """Raise CommandError if a file is not a usable video, before anything is copied."""
    if not file.exists():
        raise CommandError(f"The file {file} does not exist.")
    if not file.is_file():
        raise CommandError(f"{file} is not a file but a {'folder' if file.is_dir() else 'pipe or a device'}.")
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
                upload.unlink(missing_ok=True)  # it still exists if the import failed
            progress.console.print(f"“{video.title}” is video {video.id}.", markup=False)
            if wait:
                await _show_progress(services, video.id, progress, bar)


async def _copy(services: Services, file: Path, size: int, progress: Progress, bar: TaskID) -> Path:
    """Copy a file into the upload folder, in chunks so that Ctrl-C stops it at once. Remove an incomplete copy."""
    upload_path = services.uploads.allocate_path(size)
    try:
        with file.open("rb") as source, upload_path.open("wb") as target:
            services.uploads.lock(target)
            while chunk := await asyncio.to_thread(source.read, _COPY_CHUNK_BYTES):
                await asyncio.to_thread(target.write, chunk)
                progress.advance(bar, len(chunk))
        shutil.copystat(file, upload_path)
        await asyncio.to_thread(services.uploads.sync_to_disk, upload_path)
    except BaseException as error:
        upload_path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise CommandError(f"{file} could not be copied: {error.strerror}.") from None
        raise
    return upload_path


async def _show_progress(services: Services, video_id: int, progress: Progress, bar: TaskID) -> None:
    progress.update(bar, description="encoding", total=100, completed=0)
    while (video := await _get_video(services, video_id)).status is VideoStatus.PROCESSING:
        job = (await services.engine.progress([video_id])).get(video_id)
        label = "playable" if video.is_playable else "encoding"
        is_waiting = job is not None and bool(job.waits_for)
        progress.update(bar, completed=job.percent if job else 0, description="waiting" if is_waiting else label)
        await asyncio.sleep(_POLL_INTERVAL_S)
    if video.status is VideoStatus.FAILED:
        raise CommandError(f"The video could not be transcoded: {video.error}")
    progress.update(bar, completed=100, description="ready")
    if video.warnings:
        progress.console.print(f"[yellow]{video.warnings}")


async def _get_video(services: Services, video_id: int) -> Video:
    try:
        return await services.catalogue.get(video_id)
    except NotFound:
        raise CommandError("The video was deleted in the meantime.") from None


def _make_progress_bar() -> Progress:
    return Progress(
        TextColumn("{task.description:>9}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn()
    )


async def _list_jobs(settings: Settings) -> None:
    async with open_services(settings) as services:
        jobs = await services.engine.jobs()
    if not jobs:
        typer.echo("There are no jobs.")
        return
    table = Table("video", "state", "progress", "tasks", "error")
    for job in jobs:
        table.add_row(*_job_row(job))
    Console(markup=False).print(table)


def _job_row(job: Mapping[str, Any]) -> list[str]:
    counts: dict[str, int] = {}
    for task in job["tasks"]:
        counts[task["state"]] = counts.get(task["state"], 0) + 1
    tasks = ", ".join(f"{number} {state}" for state, number in counts.items())
    return [str(job["film"]), job["state"], f"{job['progress']:.0f} %", tasks, job.get("error") or ""]
