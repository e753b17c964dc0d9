"""Recipes for small sources of every ordinary kind.

Every frame of the default picture is flat, and its brightness encodes its number (`luma_of`); the default audio beeps
for a tenth of a second at every full second. So a test knows which source frame each published frame shows, and when
the audio belongs, without decoding the source.
"""

from __future__ import annotations

import math
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from transcode.ffmpeg.binaries import FfmpegBinaries

RATE = 48_000


def luma_of(frame: int) -> int:
    """Return the brightness of a source frame."""
    return 40 + frame * 11 % 160


def video_input(fps: str = "25", seconds: float = 6, size: str = "64x36", filters: str = "") -> list[str]:
    """Return the arguments of a lavfi input of numbered frames."""
    code = "geq=lum='40+mod(N*11,160)':cb=128:cr=128"
    return ["-f", "lavfi", "-i", f"nullsrc=s={size}:r={fps}:d={seconds},{code}{filters and ','}{filters}"]


def beep_input(seconds: float = 6, pitch: int = 1000, channels: str = "mono") -> list[str]:
    """Return the arguments of a lavfi input that beeps at every full second."""
    beep = f"0.5*sin(2*PI*{pitch}*t)*lt(mod(t,1),0.1)"
    count = {"mono": 1, "stereo": 2, "5.1": 6}[channels]
    return ["-f", "lavfi", "-i", f"aevalsrc='{'|'.join([beep] * count)}':d={seconds}:s={RATE}:c={channels}"]


PATCHES = ((51, 51, 51), (191, 191, 191), (192, 64, 64), (64, 192, 64), (64, 64, 192), (192, 144, 96), (96, 48, 160))
PATCH_SIZE = 32  # pixels


def patches(filters: str = "", seconds: float = 0.4) -> list[str]:
    """Return a lavfi input of flat patches in these colours, side by side, in RGB and then through filters."""
    rows = [f"color=0x{bytes(patch).hex()}:s={PATCH_SIZE}x{PATCH_SIZE}:r=5:d={seconds},format=gbrp[p{place}]"
            for place, patch in enumerate(PATCHES)]  # fmt: skip
    names = "".join(f"[p{place}]" for place in range(len(PATCHES)))
    return ["-f", "lavfi", "-i", ";".join([*rows, f"{names}hstack={len(PATCHES)}{filters and ','}{filters}"])]


def colour_tags(matrix: str, primaries: str, transfer: str, levels: str) -> list[str]:
    """Return options that write these colour tags without converting anything."""
    return ["-colorspace", matrix, "-color_primaries", primaries, "-color_trc", transfer, "-color_range", levels]


H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "50", "-crf", "10", "-pix_fmt", "yuv420p")
AAC = ("-c:a", "aac", "-b:a", "96k")
INPUTS = (*video_input(), *beep_input())


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a source is made, and what the published video must be like.

    `seconds` and `fps` are those of the video, `source_fps` is the frame rate of the source. `late` is the time in the
    video of the source's frame 0; from frame `last` on, that frame is shown. `held`: which frames of every group are
    missing (first, stop, size of the group). `beeps`: the times in the video at which beeps begin, empty without audio.
    """

    name: str
    suffix: str
    arguments: Sequence[str]
    seconds: float = 6
    source_fps: str = "25"
    fps: str = "25"
    size: tuple[int, int] = (64, 36)
    late: float = 0
    last: int = 1_000_000
    held: tuple[int, int, int] = (0, 0, 1)
    beeps: Sequence[float] = (0, 1, 2, 3, 4, 5)
    remuxed: bool = False
    again: Sequence[str] = ()  # arguments of a second run, which makes the source from the first one's output

    @property
    def rate(self) -> Fraction:
        """Return the frames per second of the video."""
        return Fraction(self.fps)

    @property
    def frames(self) -> int:
        """Return the number of frames of the video."""
        return round(self.seconds * self.rate)

    def shown(self, frame: int) -> set[int]:
        """Return the source frames that a frame of the video may show."""
        number = max(
            0, math.floor((Fraction(frame) / self.rate - Fraction(str(self.late))) * Fraction(self.source_fps))
        )
        number = min(number, self.last)
        first, stop, group_size = self.held
        if first <= number % group_size < stop:
            number -= number % group_size - first + 1
        # If two source frames fall on the same frame of the video, either may be shown.
        return {number} if self.fps == self.source_fps else {number - 1, number, number + 1}

    def make(self, tools: FfmpegBinaries, folder: Path) -> Path:
        """Write the source; return its path."""
        source = folder / f"{self.name}.{self.suffix}"
        if not self.again:
            run_ffmpeg(tools, *self.arguments, f"file:{source}")
            return source
        first = folder / f"{self.name}.first.{self.suffix}"
        run_ffmpeg(tools, *self.arguments, f"file:{first}")
        run_ffmpeg(tools, "-i", str(first), *self.again, f"file:{source}")
        return source


def run_ffmpeg(tools: FfmpegBinaries, *arguments: str) -> None:
    """Run ffmpeg; it overwrites the output file."""
    subprocess.run([tools.ffmpeg, "-v", "error", "-nostdin", "-y", *arguments], check=True, timeout=60)


def _rate(fps: str, shown: str = "", seconds: float = 6, suffix: str = "mp4") -> Recipe:
    name = f"rate_{fps.replace('/', '_')}"
    return Recipe(
        name, suffix, [*video_input(fps, seconds), *beep_input(seconds), *H264, *AAC],
        source_fps=fps, fps=shown or fps, seconds=seconds, beeps=range(int(seconds)),
    )  # fmt: skip


def _turned(degrees: int, size: tuple[int, int]) -> Recipe:
    again = ["-c", "copy", "-metadata:s:v:0", f"rotate={degrees}"]
    return Recipe(f"turned_{degrees}", "mp4", [*INPUTS, *H264, *AAC], size=size, again=again)


# An intra refresh, which is in progress where the second chunk begins.
_REFRESH = (*H264, "-bf", "2", "-g", "48", "-x264-params", "intra-refresh=1")
_WAVES = Recipe("intra_refresh", "mkv", [*video_input(size="640x360"), *beep_input(), *_REFRESH, *AAC], size=(640, 360))

PRORES = ("-c:v", "prores_ks", "-profile:v")
VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "0", "-crf", "10", "-c:a", "libopus")
AV1 = ("-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime", "-crf", "10", "-c:a", "libvorbis")
X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-crf", "4", "-x265-params", "log-level=none")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "2", "-g", "12", "-sc_threshold", "1000000000")
MPEG4 = ("-c:v", "mpeg4", "-q:v", "2")
INTERLACED = ("-flags", "+ildct+ilme", "-top", "1", "-field_order", "tt")
PCM = ("-c:a", "pcm_s16le")
LIVE = ("-f", "matroska", "-live", "1")
# A program stream has timestamps for packs, not frames: frames smaller than a pack lose theirs.
COARSE = (*video_input(size="160x90", filters="noise=alls=20"), *beep_input())
SIX = [0, 1, 2, 3, 4, 5]
ALPHA = "format=yuv420p,format=yuva444p10le"
HOLES = "select='not(between(mod(n,30),5,9))'"

RECIPES = (
    # Containers and codecs.
    Recipe("mp4", "mp4", [*INPUTS, *H264, *AAC]),
    Recipe("fragmented", "mp4", [*INPUTS, *H264, *AAC, "-movflags", "frag_keyframe+empty_moov"], remuxed=True),
    Recipe("mov_prores", "mov", [*INPUTS, *PRORES, "1", *PCM]),
    Recipe("prores_4444", "mov", [*video_input(filters=ALPHA), *beep_input(), *PRORES, "4", *PCM]),
    Recipe("mkv_hevc_10bit", "mkv", [*INPUTS, *X265, "-pix_fmt", "yuv420p10le", "-c:a", "libopus"]),
    Recipe("live_mkv", "mkv", [*INPUTS, *H264, *AAC, *LIVE], remuxed=True),
    Recipe("webm_vp9", "webm", [*INPUTS, *VP9]),
    Recipe("mkv_av1", "mkv", [*INPUTS, *AV1]),
    # This one begins with an empty frame, because MP3 begins before its timestamp.
    Recipe(
        "avi_mp3", "avi", [*INPUTS, *MPEG4, "-c:a", "libmp3lame"],
        seconds=6.04, late=0.04, beeps=[n + 0.023 for n in SIX],
    ),
    Recipe("avi_mpeg4", "avi", [*INPUTS, *MPEG4, "-bf", "2", *PCM]),
    Recipe("avi_h264", "avi", [*INPUTS, *H264, *PCM]),
    Recipe("ts_h264", "ts", [*INPUTS, *H264, *AAC], remuxed=True),
    Recipe("ts_mpeg2", "ts", [*INPUTS, *MPEG2, "-bf", "2", *INTERLACED, "-c:a", "mp2"], remuxed=True),
    Recipe("flv_h264", "flv", [*INPUTS, *H264, *AAC], remuxed=True),
    Recipe("mpeg_ps", "mpg", [*COARSE, *MPEG2, "-c:a", "mp2", "-f", "vob"], size=(160, 90), remuxed=True),
    Recipe("dvd", "vob", [*COARSE, *MPEG2, "-bf", "2", "-c:a", "pcm_dvd", "-f", "vob"], size=(160, 90), remuxed=True),
    Recipe("a_wrong_name", "txt", [*INPUTS, *H264, *AAC, "-f", "mp4"]),
    # Pictures.
    Recipe("portrait", "mp4", [*video_input(size="36x64"), *beep_input(), *H264, *AAC], size=(36, 64)),
    _turned(90, (36, 64)),
    _turned(180, (64, 36)),
    _turned(270, (36, 64)),
    Recipe("odd", "mkv", [*video_input(size="65x37"), *beep_input(), "-c:v", "ffv1", "-c:a", "flac"]),
    Recipe("anamorphic", "mp4", [*video_input(size="48x36", filters="setsar=4/3"), *beep_input(), *H264, *AAC]),
    Recipe("interlaced", "mkv", [*video_input(filters="setfield=tff"), *beep_input(), *H264, *INTERLACED, *AAC]),
    Recipe("h264_444", "mkv", [*INPUTS, *H264, "-pix_fmt", "yuv444p", *AAC]),
    _WAVES,
    # Rates.
    *(_rate(rate) for rate in ("24000/1001", "30000/1001", "50", "60")),
    _rate("60000/1001", suffix="mkv"),
    _rate("120", shown="60"),
    Recipe(
        "variable", "mkv", [*video_input("30", filters=HOLES), *beep_input(), *H264, "-fps_mode", "vfr", *AAC],
        fps="30", source_fps="30", held=(5, 10, 30),
    ),
    # Sound.
    Recipe("mono_44100", "mp4", [*INPUTS, *H264, *AAC, "-ar", "44100"]),
    Recipe("surround", "mkv", [*video_input(), *beep_input(channels="5.1"), *H264, "-c:a", "ac3"]),
    Recipe("silent", "mp4", [*video_input(), *H264], beeps=()),
    Recipe(
        "sound_late", "mp4", [*video_input(), "-itsoffset", "1.5", *beep_input(4.5), *H264, *AAC],
        beeps=(1.5, 2.5, 3.5, 4.5, 5.5),
    ),
    Recipe("sound_late_mkv", "mkv", [*video_input(), "-itsoffset", "3", *beep_input(3), *H264, *AAC], beeps=(3, 4, 5)),
    Recipe("sound_short", "mp4", [*video_input(seconds=9), *beep_input(2), *H264, *AAC], seconds=9, beeps=(0, 1)),
    Recipe(
        "sound_longer", "mp4", [*video_input(seconds=3), *beep_input(9), *H264, *AAC],
        seconds=9, last=74, beeps=range(9),
    ),
    Recipe(
        "sound_holes", "mkv", [*INPUTS, *H264, *AAC, "-af", "aselect='not(between(t,1.5,2.7))'"], beeps=(0, 1, 3, 4, 5)
    ),
    Recipe("sound_first", "mkv", ["-itsoffset", "2", *video_input(seconds=4), *beep_input(), *H264, *PCM], late=2),
    # Clocks and lengths.
    Recipe("starts_at_100", "mkv", [*INPUTS, *H264, *AAC, "-output_ts_offset", "100"]),
    Recipe("ts_starts_at_100", "ts", [*INPUTS, *H264, *AAC, "-output_ts_offset", "100"], remuxed=True),
    Recipe(
        "starts_below_0", "mp4", [*INPUTS, *H264, *AAC, "-output_ts_offset", "-1", "-avoid_negative_ts", "disabled"],
        seconds=5, late=-1, beeps=range(5),
    ),
    Recipe("one_frame", "mp4", [*video_input(seconds=0.04), *H264], seconds=0.04, beeps=()),
    Recipe("short", "mp4", [*video_input(seconds=0.4), *beep_input(0.4), *H264, *AAC], seconds=0.4, beeps=(0,)),
    Recipe("under_a_segment", "webm", [*video_input(seconds=2), *beep_input(2), *VP9], seconds=2, beeps=(0, 1)),
)  # fmt: skip
