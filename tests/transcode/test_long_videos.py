"""Videos of many hours: counters and clocks that could overflow, and work that could grow with their length."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import m3u8
import pytest
from redis.asyncio import Redis

from tests.support import ffprobe, sample_videos
from tests.support.repository import InMemoryRepository
from tests.support.scripted_tasks import make_presentation
from tests.support.video_builder import VideoBuilder
from tests.support.workers import open_ledger
from transcode import integrity, paths, task_graph
from transcode.engine import Engine
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.ffmpeg.process import FfmpegProcess
from transcode.grid import MPEG_CLOCK_HZ, Grid
from transcode.hls import bandwidth, playlists, webvtt
from transcode.hls.storyboard import Storyboard, sheet_name
from transcode.ladder import build_ladder
from transcode.ledger import Lease, NewTask, Queue
from transcode.presentation import AudioTrack, Presentation
from transcode.probe.mpegts import PACKET_BYTES, first_picture_size
from transcode.tasks import master
from transcode.tasks.audio import AudioPlan
from transcode.tasks.chunk import ChunkPlan
from transcode.tasks.context import TaskContext
from transcode.tasks.storyboard import StoryboardPlan
from transcode.timestamps import format_webvtt_timestamp

HOUR = 3600
HOURS = 12
CUES = 70_000  # more than sixteen bits count


# Storyboards ------------------------------------------------------------------------------------------------


def shift_clocks(packets: bytes, ticks: int) -> bytes:
    """Return a transport stream with all its clocks shifted by `ticks` of 90 kHz."""
    stream = bytearray(packets)
    for offset in range(0, len(stream), PACKET_BYTES):
        packet = memoryview(stream)[offset : offset + PACKET_BYTES]
        payload = 4
        if packet[3] & 0x20:
            payload += 1 + packet[4]
            if packet[4] and packet[5] & 0x10:  # a clock reference: 33 bits of ticks, and a remainder
                field = int.from_bytes(packet[6:12], "big")
                later = (((field >> 15) + ticks) % 2**33) << 15 | field & 0x7FFF
                packet[6:12] = later.to_bytes(6, "big")
        if packet[1] & 0x40 and packet[payload : payload + 3] == b"\0\0\1" and packet[payload + 3] & 0xF0 == 0xE0:
            positions = {2: [9], 3: [9, 14]}.get(packet[payload + 7] >> 6, [])
            for position in positions:
                stamp = packet[payload + position : payload + position + 5]
                stamp[:] = _encode_timestamp(stamp[0] >> 4, (_decode_timestamp(stamp) + ticks) % 2**33)
    return bytes(stream)


def _decode_timestamp(stamp: memoryview) -> int:
    """Return the 33 bits of a timestamp (ISO/IEC 13818-1, 2.4.3.7)."""
    high = stamp[0] >> 1 & 7
    middle, low = (int.from_bytes(stamp[position : position + 2], "big") >> 1 for position in (1, 3))
    return high << 30 | middle << 15 | low


def _encode_timestamp(marker: int, ticks: int) -> bytes:
    first = (marker << 4 | (ticks >> 30 & 7) << 1 | 1).to_bytes(1, "big")
    return first + b"".join(((ticks >> shift & 0x7FFF) << 1 | 1).to_bytes(2, "big") for shift in (15, 0))


@pytest.fixture(scope="module", params=["1", "24000/1001", "25", "60"])
def beginning(
    request: pytest.FixtureRequest, tools: FfmpegBinaries, tmp_path_factory: pytest.TempPathFactory
) -> VideoBuilder:
    """Two real segments of a video at this frame rate, the first one dark and the second one bright."""
    folder, fps = tmp_path_factory.mktemp("beginning"), request.param
    code = "geq=lum='if(lt(T,3.9),40,200)':cb=128:cr=128"
    picture = ["-f", "lavfi", "-i", f"nullsrc=s=64x36:r={fps}:d=8,{code}"]
    sample_videos.run_ffmpeg(tools, *picture, *sample_videos.H264, str(folder / "video.mp4"))
    video = VideoBuilder(folder / "media", folder / "video.mp4", tools)
    video.probe()
    video.encode_chunks()
    return video


@pytest.mark.parametrize("hours", [0.01, 1.25, 1.5, 2, 5, 12, 24, 30])
def test_a_storyboard_has_all_its_pictures_at_any_length(
    beginning: VideoBuilder, tools: FfmpegBinaries, tmp_path: Path, hours: float
) -> None:
    """At 30 hours, longer than a published video may be, the clock of a transport stream has wrapped around."""
    fps = beginning.presentation.grid.fps
    board = Storyboard(Grid(fps, int(hours * HOUR * fps)), beginning.presentation.renditions[0])
    frames = [path.read_bytes()[: first_picture_size(path)] for path in beginning.segment_paths()[:2]]
    is_bright = [number * 7 // 5 % 2 for number in range(len(board.segments))]
    starts = [
        board.grid.segment_start(number) - (4 if bright else 0)
        for number, bright in zip(board.segments, is_bright, strict=True)
    ]
    (tmp_path / "pictures.ts").write_bytes(
        b"".join(
            shift_clocks(frames[bright], round(start * MPEG_CLOCK_HZ))
            for bright, start in zip(is_bright, starts, strict=True)
        )
    )
    FfmpegProcess([tools.ffmpeg, *StoryboardPlan(board, tmp_path / "pictures.ts").argv()], tmp_path).run()
    sheets = sorted(path.name for path in tmp_path.glob("*.jpg"))
    assert sheets == [sheet_name(number) for number in range(board.sheet_count)]
    pictures = [bright for sheet in sheets for bright in brightness(tools, tmp_path / sheet, board)]
    assert pictures[: len(is_bright)] == is_bright


def brightness(tools: FfmpegBinaries, sheet: Path, board: Storyboard) -> list[int]:
    """Return 1 for each bright picture on a sheet, 0 for each dark one."""
    raw = sheet.with_suffix(".raw")
    size = f"{board.columns}:{board.rows}"
    sample_videos.run_ffmpeg(
        tools, "-i", str(sheet), "-vf", f"format=gray,scale={size}:flags=area", "-f", "rawvideo", str(raw)
    )
    return [int(level > 120) for level in raw.read_bytes()]


# A video of twelve hours ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def source(tools: FfmpegBinaries, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small picture per second, and a subtitle about every 0.6 seconds."""
    folder = tmp_path_factory.mktemp("source")
    pause = HOURS * HOUR * 1000 // CUES
    stamps = (format_webvtt_timestamp(pause * number).replace(".", ",") for number in range(CUES + 1))
    begin = next(stamps)
    with (folder / "words.srt").open("w") as words:
        for number, end in enumerate(stamps, 1):
            words.write(f"{number}\n{begin} --> {end}\nword {number}\n\n")
            begin = end
    path = folder / "video.mkv"
    sample_videos.run_ffmpeg(
        tools, "-f", "lavfi", "-i", f"color=gray:s=64x36:r=1:d={HOURS * HOUR}", "-i", str(folder / "words.srt"),
        *sample_videos.H264, str(path),
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def video(source: Path, tools: FfmpegBinaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VideoBuilder]:
    """Run all its tasks, but of the chunks only the first, one with names of four and five digits, and the last ones.

    All other segments are copies of the second one, shifted on the clock.
    """
    video = VideoBuilder(tmp_path_factory.mktemp("media"), source, tools)
    grid = video.probe().grid
    video.run_task("thumbnail")
    for index in (0, 1):
        video.run_task("chunk", index)
    second = video.segment_paths()[1].read_bytes()
    for number, path in enumerate(video.segment_paths()[3:], 3):
        path.write_bytes(
            shift_clocks(second, round((grid.segment_start(number) - grid.segment_start(1)) * MPEG_CLOCK_HZ))
        )
    for index in (grid.chunk_of(10_000), grid.chunk_count - 2, grid.chunk_count - 1):
        video.run_task("chunk", index)
    for kind in ("subtitles", "iframes", "storyboard", "finish"):
        video.run_task(kind)
    yield video
    shutil.rmtree(video.root)


def test_a_video_of_twelve_hours_is_published_with_names_of_five_digits(video: VideoBuilder) -> None:
    assert video.presentation.grid == Grid(Fraction(1), HOURS * HOUR)
    assert video.presentation.segment_count == 10_800
    names = {paths.segment_name(number) for number in range(10_800)}
    assert {"9999.ts", "10000.ts", "10799.ts"} <= names
    assert {path.name for path in (video.folder / "480p").glob("*.ts")} == names
    playlist = m3u8.load(str(video.folder / "480p" / "index.m3u8"))
    assert {segment.uri for segment in playlist.segments} == names
    assert sum(segment.duration for segment in playlist.segments) == pytest.approx(HOURS * HOUR, abs=0.01)


def test_its_last_segments_are_on_the_clock_of_the_first(video: VideoBuilder, tools: FfmpegBinaries) -> None:
    for number in (0, 9_999, 10_000, 10_799):
        times = ffprobe.run_ffprobe(
            tools, "-f", "mpegts", "-select_streams", "v:0", "-show_entries", "frame=pts_time", "-of", "csv=p=0",
            str(video.segment_paths()[number]),
        )  # fmt: skip
        times_s = [float(line.strip(",")) for line in times.split()]
        assert times_s == pytest.approx([10 + 4 * number + second for second in range(4)], abs=0.001)


def test_its_master_lists_what_was_measured(video: VideoBuilder) -> None:
    result = video.results["finish"]
    assert result["bytes"]["480p"] == sum(path.stat().st_size for path in video.segment_paths())
    variant = m3u8.load(str(video.folder / "master.m3u8"))
    assert variant.playlists[0].stream_info.bandwidth == result["bandwidths"]["480p"]
    assert len(variant.iframe_playlists) == 1
    assert video.results["iframes"] == {"pictures": 10_800}
    assert video.results["storyboard"]["pictures"] == 600


def test_its_words_are_all_there_each_at_its_time(video: VideoBuilder) -> None:
    assert video.results["subtitles"] == {"tracks": [1]}
    playlist = m3u8.load(str(video.folder / "subs1" / "index.m3u8"))
    assert len(playlist.segments) == 720
    cues = [
        cue for piece in playlist.segments for cue in webvtt.parse((video.folder / "subs1" / piece.uri).read_text())
    ]
    words = list(dict.fromkeys(cue.text for cue in cues))
    assert words == [f"word {number}" for number in range(1, CUES + 1)]
    assert cues[-1].start == HOURS * HOUR * 1000 // CUES * (CUES - 1)


def test_a_viewer_gets_a_segment_near_its_end_at_once(video: VideoBuilder) -> None:
    segment = video.segment_paths()[10_790]
    segment.rename(video.root / "moved")
    try:
        assert video.run_task("segment", 10_790, "480p") == {"is_new": True}
        assert playlists.parse_segments((video.folder / "480p" / "index.m3u8").read_text())["10790.ts"] == 4
    finally:
        (video.root / "moved").rename(segment)


def test_none_of_its_files_counts_as_missing(video: VideoBuilder) -> None:
    repository = InMemoryRepository()
    repository.add(1, video.presentation, range(video.presentation.grid.chunk_count))
    kinds = frozenset({"thumbnail", "subtitles", "iframes", "storyboard", "finish"})
    record = replace(repository.records[1], tasks_done=kinds, task_results=video.results)
    assert not integrity.find_missing(record, video.root)
    assert task_graph.is_done(record)


# Audio ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [12.5, 13.5, 23.9])
def test_audio_samples_are_counted_in_more_than_31_bits(tools: FfmpegBinaries, tmp_path: Path, hours: float) -> None:
    """The number of the first sample in an on-demand segment after 12.4 hours needs more than 31 bits."""
    fps, seconds, last = Fraction(1), int(hours * HOUR), 24
    late = str(seconds - last)
    source = tmp_path / "video.mkv"
    sample_videos.run_ffmpeg(
        tools, *sample_videos.video_input("1", last), *sample_videos.beep_input(last),
        *sample_videos.H264, *sample_videos.AAC,
        "-output_ts_offset", late, str(source),
    )  # fmt: skip
    probed = VideoBuilder(tmp_path / "media", source, tools)
    probed.probe()
    # The same source as the end of a long video, whose picture and audio begin at 0.
    presentation = replace(probed.presentation, grid=Grid(fps, seconds), origin=0.0)
    video = VideoBuilder(probed.root, source, tools, presentation_json=presentation.as_json())
    number = video.presentation.segment_count - 3
    video.run_task("segment", number, "480p")
    path = video.segment_paths()[number]
    times = ffprobe.run_ffprobe(
        tools, "-select_streams", "a:0", "-show_entries", "packet=pts_time", "-of", "csv=p=0", str(path)
    )
    packet_times = [float(line.strip(",")) for line in times.split()]
    start = 10 + float(presentation.grid.segment_start(number))
    assert start - 2.1 <= packet_times[0] <= start
    assert len(packet_times) == pytest.approx(4 * 48_000 / 1024, abs=2)
    samples = ffprobe.decode_audio(tools, "-i", str(path))[::2]
    beeps = ffprobe.beep_times(samples)
    assert len(beeps) in (3, 4, 5)
    gaps = [later - sooner for sooner, later in itertools.pairwise(beeps)]
    assert gaps == pytest.approx([1] * len(gaps), abs=0.03)


def test_the_cut_times_of_a_day_of_audio_fit_into_one_argument() -> None:
    """Linux takes 128 KiB for each (MAX_ARG_STRLEN)."""
    day = replace(make_presentation(20, sound=True), grid=Grid(Fraction(60), 24 * HOUR * 60))
    argv = AudioPlan(day, Path("video.mp4")).argv()
    assert max(map(len, argv)) < 64 * 1024
    assert argv[argv.index("-segment_times") + 1].count(",") == day.grid.chunk_count - 2


# Work that could grow ---------------------------------------------------------------------------------------


def chunk_context(video: Presentation, root: Path, index: int) -> TaskContext:
    return TaskContext("chunk", 1, "", root, root, FfmpegBinaries("", ""), video, index)


def test_hardly_any_chunk_of_a_long_video_reads_all_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All sizes read are a small multiple of the segments: not 21,600 sizes after each of 2,703 chunks."""
    day = replace(make_presentation(20), grid=Grid(Fraction(25), 24 * HOUR * 25))
    paths.rendition_dir(tmp_path, 1, "480p").mkdir(parents=True)
    published, original = [], master.publish_master
    monkeypatch.setattr(master, "publish_master", lambda context: published.append(context.index) or original(context))
    original(chunk_context(day, tmp_path, 0))
    for index in range(day.grid.chunk_count):
        sizes = {"480p": dict.fromkeys(day.grid.chunk_segments(index), 1000)}
        master.publish_master_after_chunk(chunk_context(day, tmp_path, index), sizes)
    assert len(published) < 30
    assert sum(day.grid.chunk_segments(index).stop for index in published) < 3 * day.segment_count


def test_a_chunk_that_takes_more_than_the_master_says_corrects_it_at_once(tmp_path: Path) -> None:
    video = replace(make_presentation(20), grid=Grid(Fraction(25), 5 * HOUR * 25))
    folder = paths.rendition_dir(tmp_path, 1, "480p")
    folder.mkdir(parents=True)
    index = 301
    master.publish_master(chunk_context(video, tmp_path, index))
    peak = playlists.parse_bandwidths((tmp_path / "hls" / "1" / "master.m3u8").read_text())["480p"]
    sizes = dict.fromkeys(
        video.grid.chunk_segments(index), peak
    )  # the peak in bytes per 4 seconds: twice the listed bits per second
    for number, size in sizes.items():
        (folder / paths.segment_name(number)).write_bytes(b"\0" * size)
    master.publish_master_after_chunk(chunk_context(video, tmp_path, index), {"480p": sizes})
    listed = playlists.parse_bandwidths((tmp_path / "hls" / "1" / "master.m3u8").read_text())["480p"]
    assert listed >= bandwidth.measure_segments(sizes, video.grid).peak > peak


async def test_a_video_of_a_day_goes_through_the_ledger(redis_url: str, tmp_path: Path) -> None:
    """2,703 chunks are enqueued by one script, listed for admins, and cancelled."""
    day = replace(make_presentation(20), grid=Grid(Fraction(25), 24 * HOUR * 25), audio=(AudioTrack(1, 2),))
    repository = InMemoryRepository()
    repository.add(1, day)
    async with open_ledger(redis_url) as ledger:
        await ledger.start(1, [task_graph.probe_task()], task_graph.closing())
        lease = await ledger.claim([Queue.PROBE], "w")
        assert isinstance(lease, Lease)
        await ledger.complete(
            lease,
            {},
            task_graph.follow_ups("probe", repository.records[1], tmp_path),
            task_graph.weights(repository.records[1]),
        )
        lease = await ledger.claim([Queue.AUDIO], "w")
        assert isinstance(lease, Lease)
        await ledger.renew(lease, 0.5, 1300, task_graph.unblocked_chunks(repository.records[1], 0, 1300))
        await ledger.complete(lease, {}, task_graph.follow_ups("audio", repository.records[1], tmp_path))
        engine = Engine(ledger, tmp_path)
        (job,) = await engine.jobs()
        await engine.close()
        assert len([task for task in job["tasks"] if task["kind"] == "chunk"]) == day.grid.chunk_count == 2703
        assert len(json.dumps(job)) < 2_000_000
        assert (await ledger.views.progress([1]))[1].total > 24 * HOUR
        assert await ledger.cancel(1) == 0
        await ledger.forget(1)
        assert await ledger.views.job(1) is None


def test_rates_of_a_day_are_those_of_exact_fractions() -> None:
    grid = Grid(Fraction(24_000, 1001), int(24 * HOUR * Fraction(24_000, 1001)))
    sizes = {number: 1000 + number * 7919 % 5000 for number in range(grid.segment_count)}
    lengths = [grid.segment_duration(number) for number in sorted(sizes)]
    exact = sum(sizes.values()) * 8 / sum(lengths)
    assert abs(bandwidth.measure_segments(sizes, grid).average - exact) <= 1


def test_the_plan_of_a_chunk_is_as_long_after_a_day_as_at_the_start() -> None:
    day = Presentation(
        Grid(Fraction(25), 24 * HOUR * 25), build_ladder(320, 180, Fraction(25)), make_presentation(4).video
    )
    first, last = (ChunkPlan(day, index, Path("video.mp4"), None).argv() for index in (4, day.grid.chunk_count - 1))
    assert abs(len(" ".join(first)) - len(" ".join(last))) < 40


async def test_however_many_chunks_are_enqueued_at_once_workers_are_woken_once(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger, Redis.from_url(redis_url) as client, client.pubsub() as pubsub:
        await pubsub.subscribe("videoflix:wake")
        await ledger.start(
            1, [NewTask(f"chunk:{index:04d}", "chunk", index) for index in range(2703)], task_graph.finalize_task()
        )
        messages = []
        while message := await pubsub.get_message(timeout=0.5):
            messages += [message["data"]] if message["type"] == "message" else []
        assert messages == [b"bulk"]
