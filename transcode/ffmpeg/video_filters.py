"""The filters that bring a source's picture onto the grid and into the sizes of the ladder."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from transcode.ffmpeg.inputs import format_seconds
from transcode.ladder import Rendition
from transcode.presentation import Presentation, VideoTrack

_ASPECT_RATIO_TOLERANCE = 0.02  # of an aspect ratio: sizes are rounded, and some pixels nearly square

# Frames that are decoded before the first wanted one, so that one which is stamped a little early is not missed.
_LEAD_FRAMES = 2

_HDR_TO_SDR = (
    "zscale=tin={transfer}:pin=bt2020:min={matrix}:rin=limited:t=linear:npl=100,format=gbrpf32le,"
    "zscale=p=bt709,tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=limited,format=yuv420p"
)
_TO_BT709 = "zscale=tin=bt709:pin={primaries}:min={matrix}:rin=limited:p=bt709:t=bt709:m=bt709:r=limited,format=yuv420p"
# Primaries that differ visibly from those of BT.709: taken for these, colours would be pale.
_WIDE_PRIMARIES = ("bt2020", "smpte431", "smpte432")
# Two names of the coefficients of ITU-R BT.601.
_SD_MATRICES = ("smpte170m", "bt470bg")
_SD_PRIMARIES = ("smpte170m", "bt470bg", "smpte240m")
# Matrices that few players know; the scaler converts them roughly or not at all, zscale well.
_RARE_MATRICES = ("smpte240m", "fcc", "ycgco", "bt2020c", "bt2020nc")
_USUAL_TAGS = ("-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv")
_RGB_FORMAT_PREFIXES = ("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "pal8")
_MIN_HD_LINES = 720  # lines; what says nothing of its colours and is smaller is taken for SD, as players do


# In recordings the size may change on the way. Filters are kept then, or what they count would begin anew.
KEEP_FILTERS_ON_RESIZE = ("-reinit_filter:v", "0")


def seek_options(presentation: Presentation, start: Fraction) -> list[str]:
    """Input options that open the source at the key frame before a film time.

    Not the accurate kind, which drops all frames before the time: of a variable-rate source the frame that is
    still showing would be dropped too. The fps filter takes what belongs on the grid.
    """
    lead = float(_LEAD_FRAMES / presentation.grid.fps) + presentation.video.refresh
    position = float(start) - lead + presentation.origin - presentation.file_start
    return [*KEEP_FILTERS_ON_RESIZE, *(["-noaccurate_seek", "-ss", format_seconds(position)] if position > 0 else [])]


def grid_filters(presentation: Presentation, start: Fraction, frame_count: int) -> str:
    """Filters whose output is exactly `frames` frames from film time `start` on, whatever the source does."""
    steps = []
    if late := presentation.origin + presentation.video.lag:
        steps.append(f"setpts=PTS-({late:.6f})/TB")
    if presentation.video.fields:
        # Frames get the time of their second field.
        field = float(1 / presentation.grid.fps / 2)
        steps.append(f"weave=first_field={presentation.video.fields},setpts=PTS-{field:.6f}/TB")
    if presentation.video.parity:
        steps.append(f"setfield={presentation.video.parity}")
    if presentation.video.interlaced:
        # The first one keeps the size that the picture has at first: the other cannot bear that it changes.
        steps += ["scale", "bwdif=mode=send_frame:deint=interlaced"]
    rate = f"fps={presentation.grid.fps}"
    steps += [
        # The last frame counts also where it ends before the next place on the grid.
        "tpad=stop=4:stop_mode=clone",
        f"{rate}:eof_action=pass",
        # A source whose picture ends early shows its last frame until the grid is full, also in chunks that begin
        # after its end. Brought to the rate before that, or clones come as close as the source's clock ticks.
        "tpad=stop=-1:stop_mode=clone",
        # With a start time, a first frame off the grid cannot shift the whole chunk.
        f"{rate}:start_time={float(start):.9f}",
        # Not -frames:v, which ends the whole output and cuts off the sound.
        f"trim=end_frame={frame_count}",
    ]
    return ",".join(steps)


def scale_chains(presentation: Presentation, renditions: Sequence[Rendition]) -> list[str]:
    """Filter chains from [grid] to one [<name>] per rendition: each size is made from the next larger one."""
    chains, source = [], "[grid]"
    for place, rendition in enumerate(reversed(renditions)):
        first, last = place == 0, place == len(renditions) - 1
        steps = _color_filters(presentation.video, rendition) if first else [_scale_filter(rendition)]
        steps.append("setsar=1")
        outputs = f"[{rendition.name}]" if last else f",split[{rendition.name}][below{place}]"
        chains.append(source + ",".join(steps) + outputs)
        source = f"[below{place}]"
    return chains


def color_tags(presentation: Presentation) -> list[str]:
    """Output options that say which colours the frames have after `sizes`.

    The source's own transfer and primaries are not repeated, unless they are wide or HDR, which is converted: players
    show the values of ordinary films as they are, but Chromium takes tags of gamma 2.2 and 2.8 and of PAL's primaries
    literally, and draws such films darker and in other colours than the same film without tags.
    """
    video = presentation.video
    if not video.plain_tags:
        return _earlier_tags(video)
    return ["-colorspace", _matrix(video), *_USUAL_TAGS]


def _earlier_tags(video: VideoTrack) -> list[str]:
    """As of films that were probed by earlier versions."""
    unknown = not video.matrix and not video.primaries and not video.is_hdr and not _is_rgb(video)
    matrix = "smpte170m" if unknown and min(video.width, video.height) < _MIN_HD_LINES else "bt709"
    if video.matrix in _SD_MATRICES and not video.is_hdr:
        matrix = video.matrix
    transfer = {"bt470bg": "gamma28"}.get(matrix, matrix)
    return ["-colorspace", matrix, "-color_primaries", matrix, "-color_trc", transfer, "-color_range", "tv"]


def _matrix(video: VideoTrack) -> str:
    """Of the published picture. BT.601 is kept: converting it costs time, and the tag is understood everywhere."""
    if video.is_hdr or _is_rare(video) or _is_rgb(video):
        return "bt709"
    if video.matrix:
        return "smpte170m" if video.matrix in _SD_MATRICES else "bt709"
    if video.primaries:
        return "smpte170m" if video.primaries in _SD_PRIMARIES else "bt709"
    return "smpte170m" if min(video.width, video.height) < _MIN_HD_LINES else "bt709"


def _is_rgb(video: VideoTrack) -> bool:
    return video.pixel_format.startswith(_RGB_FORMAT_PREFIXES)


def _is_rare(video: VideoTrack) -> bool:
    """Whether colours have to be converted by zscale."""
    if not video.plain_tags:
        return video.primaries == "bt2020" or video.matrix.startswith("bt2020")
    return video.primaries in _WIDE_PRIMARIES or video.matrix in _RARE_MATRICES


def _scale_filter(rendition: Rendition, *options: str) -> str:
    # Lanczos keeps what bicubic blurs: 1.4 VMAF at 480p before anything is encoded.
    return ":".join([f"scale={rendition.width}:{rendition.height}:flags=lanczos", *options])


def _fit_filter(video: VideoTrack, rendition: Rendition, *options: str) -> str:
    """The largest size; with black beside a picture that has another shape than at first."""
    width, height, shape = rendition.width, rendition.height, f"{video.width / video.height:.6f}"

    def unless_changed(length: int, other: str) -> str:
        return (
            f"'if(lt(abs(dar/{shape}-1),{_ASPECT_RATIO_TOLERANCE}),{length},max(2,2*trunc(min({length},{other})/2)))'"
        )

    size = f"w={unless_changed(width, f'{height}*dar')}:h={unless_changed(height, f'{width}/dar')}"
    fitted = ":".join([f"scale={size}:eval=frame:flags=lanczos", *options])
    return f"{fitted},pad={width}:{height}:-1:-1:eval=frame"


def _color_filters(video: VideoTrack, rendition: Rendition) -> list[str]:
    """The largest size, in 8-bit 4:2:0 and colours that every screen shows."""
    if not video.is_hdr and not _is_rare(video):
        return [_fit_filter(video, rendition, *_conversion_options(video)), "format=yuv420p"]
    # Scaled first: what follows works in floating point and is slow.
    pixels, matrix = _zscale_input(video)
    if video.is_hdr:
        convert = _HDR_TO_SDR.format(transfer=video.transfer, matrix=matrix)
    else:
        convert = _TO_BT709.format(primaries=_primaries(video), matrix=matrix)
    return [_fit_filter(video, rendition, *_levels(video)), f"format={pixels}", convert]


def _zscale_input(video: VideoTrack) -> tuple[str, str]:
    """Pixel format and matrix in which zscale gets a picture, at limited levels; RGB has no others."""
    if _is_rgb(video):
        return "gbrp10le", "gbr"
    usual = "bt2020nc" if video.is_hdr or video.primaries == "bt2020" else "bt709"
    return "yuv420p10le", video.matrix or usual


def _primaries(video: VideoTrack) -> str:
    if video.primaries:
        return video.primaries if video.primaries in _WIDE_PRIMARIES else "bt709"
    return "bt2020" if video.matrix.startswith("bt2020") else "bt709"


def _conversion_options(video: VideoTrack) -> list[str]:
    """Options of the scaler for levels and matrix that are not the usual ones."""
    if _is_rgb(video):
        return ["out_color_matrix=bt709", "out_range=tv"]
    by_scaler = not video.plain_tags and video.matrix in _RARE_MATRICES
    return [*_levels(video), *(["out_color_matrix=bt709"] if by_scaler else [])]


def _levels(video: VideoTrack) -> list[str]:
    if _is_rgb(video):
        return []
    if video.full_range or video.pixel_format.startswith("gray"):  # the scaler takes all gray for full range
        return [f"in_range={'pc' if video.full_range else 'tv'}", "out_range=tv"]
    return []
