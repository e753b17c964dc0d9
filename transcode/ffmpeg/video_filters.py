"""The filters that bring a source's picture onto the segment grid and to the sizes of the ladder."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from transcode.ffmpeg.inputs import format_seconds
from transcode.ladder import Rendition
from transcode.presentation import Presentation, VideoTrack

_ASPECT_RATIO_TOLERANCE = 0.02  # relative: sizes are rounded, and some pixels are only nearly square

# Frames that are decoded before the first wanted one, so that a frame with a slightly early timestamp is not missed.
_LEAD_FRAMES = 2

_HDR_TO_SDR = (
    "zscale=tin={transfer}:pin=bt2020:min={matrix}:rin=limited:t=linear:npl=100,format=gbrpf32le,"
    "zscale=p=bt709,tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=limited,format=yuv420p"
)
_TO_BT709 = "zscale=tin=bt709:pin={primaries}:min={matrix}:rin=limited:p=bt709:t=bt709:m=bt709:r=limited,format=yuv420p"
# Primaries that differ visibly from those of BT.709: interpreted as BT.709, colours would be pale.
_WIDE_PRIMARIES = ("bt2020", "smpte431", "smpte432")
# Two names for the coefficients of ITU-R BT.601.
_SD_MATRICES = ("smpte170m", "bt470bg")
_SD_PRIMARIES = ("smpte170m", "bt470bg", "smpte240m")
# Matrices that few players support; the scaler converts them roughly or not at all, zscale accurately.
_RARE_MATRICES = ("smpte240m", "fcc", "ycgco", "bt2020c", "bt2020nc")
_BT709_TAGS = ("-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv")
_RGB_FORMAT_PREFIXES = ("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "pal8")
_MIN_HD_LINES = 720  # without colour tags, smaller pictures are taken for SD, as players do

# The size may change within a recording. The filters are kept then, otherwise their counters would start anew.
KEEP_FILTERS_ON_RESIZE = ("-reinit_filter:v", "0")


def seek_options(presentation: Presentation, start: Fraction) -> list[str]:
    """Return input options that open the source at the key frame before `start`, in seconds of the video.

    Not accurate seeking, which drops all frames before that time: in a source of variable frame rate, the frame that
    is still shown would be dropped too. The fps filter selects what belongs on the grid.
    """
    lead = float(_LEAD_FRAMES / presentation.grid.fps) + presentation.video.refresh
    position = float(start) - lead + presentation.origin - presentation.file_start
    return [*KEEP_FILTERS_ON_RESIZE, *(["-noaccurate_seek", "-ss", format_seconds(position)] if position > 0 else [])]


def grid_filters(presentation: Presentation, start: Fraction, frame_count: int) -> str:
    """Return filters that output exactly `frame_count` frames from `start` (seconds) on, whatever the source holds."""
    steps = []
    if delay := presentation.origin + presentation.video.lag:
        steps.append(f"setpts=PTS-({delay:.6f})/TB")
    if presentation.video.fields:
        # `weave` gives a frame the timestamp of its second field.
        field_duration = float(1 / presentation.grid.fps / 2)
        steps.append(f"weave=first_field={presentation.video.fields},setpts=PTS-{field_duration:.6f}/TB")
    if presentation.video.parity:
        steps.append(f"setfield={presentation.video.parity}")
    if presentation.video.interlaced:
        # `scale` keeps the initial size of the picture, because `bwdif` cannot handle a change of size.
        steps += ["scale", "bwdif=mode=send_frame:deint=interlaced"]
    rate = f"fps={presentation.grid.fps}"
    steps += [
        # The last frame counts even if it ends before the next frame of the grid.
        "tpad=stop=4:stop_mode=clone",
        f"{rate}:eof_action=pass",
        # If the picture ends early, its last frame is shown until the grid is full, also in chunks that begin after its
        # end. The rate is set before that, otherwise clones would follow each other at single ticks of the source's
        # clock.
        "tpad=stop=-1:stop_mode=clone",
        # With a start time, a first frame that is off the grid cannot shift the whole chunk.
        f"{rate}:start_time={float(start):.9f}",
        # Not -frames:v, which ends the whole output and cuts off the audio.
        f"trim=end_frame={frame_count}",
    ]
    return ",".join(steps)


def scale_chains(presentation: Presentation, renditions: Sequence[Rendition]) -> list[str]:
    """Return filter chains from [grid] to one [<name>] per rendition; each size is scaled from the next larger one."""
    chains, source = [], "[grid]"
    for index, rendition in enumerate(reversed(renditions)):
        is_first, is_last = index == 0, index == len(renditions) - 1
        steps = _color_filters(presentation.video, rendition) if is_first else [_scale_filter(rendition)]
        steps.append("setsar=1")
        outputs = f"[{rendition.name}]" if is_last else f",split[{rendition.name}][below{index}]"
        chains.append(source + ",".join(steps) + outputs)
        source = f"[below{index}]"
    return chains


def color_tags(presentation: Presentation) -> list[str]:
    """Return output options that tag the colours of the frames after `scale_chains`.

    Always transfer and primaries of BT.709, not those of the source (wide gamut and HDR have been converted): players
    show the values of ordinary videos as they are, but Chromium takes tags of gamma 2.2 and 2.8 and of PAL's primaries
    literally, and draws such videos darker and in other colours than the same video without tags.
    """
    video = presentation.video
    if not video.plain_tags:
        return _source_color_tags(video)
    return ["-colorspace", _matrix(video), *_BT709_TAGS]


def _source_color_tags(video: VideoTrack) -> list[str]:
    """Return the tags of videos that were probed by earlier versions, which repeat those of the source."""
    is_unknown = not video.matrix and not video.primaries and not video.is_hdr and not _is_rgb(video)
    matrix = "smpte170m" if is_unknown and min(video.width, video.height) < _MIN_HD_LINES else "bt709"
    if video.matrix in _SD_MATRICES and not video.is_hdr:
        matrix = video.matrix
    transfer = {"bt470bg": "gamma28"}.get(matrix, matrix)
    return ["-colorspace", matrix, "-color_primaries", matrix, "-color_trc", transfer, "-color_range", "tv"]


def _matrix(video: VideoTrack) -> str:
    """Return the matrix of the published picture.

    BT.601 is kept: converting it takes time, and every player reads its tag.
    """
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
    """Return whether the colours have to be converted by zscale."""
    if not video.plain_tags:
        return video.primaries == "bt2020" or video.matrix.startswith("bt2020")
    return video.primaries in _WIDE_PRIMARIES or video.matrix in _RARE_MATRICES


def _scale_filter(rendition: Rendition, *options: str) -> str:
    # Lanczos keeps detail that bicubic blurs: 1.4 VMAF at 480p before anything is encoded.
    return ":".join([f"scale={rendition.width}:{rendition.height}:flags=lanczos", *options])


def _fit_filter(video: VideoTrack, rendition: Rendition, *options: str) -> str:
    """Return the filter for the largest size; a picture whose aspect ratio differs from the initial one is padded."""
    width, height, initial_ratio = rendition.width, rendition.height, f"{video.width / video.height:.6f}"

    def unless_changed(length: int, other: str) -> str:
        is_initial = f"lt(abs(dar/{initial_ratio}-1),{_ASPECT_RATIO_TOLERANCE})"
        return f"'if({is_initial},{length},max(2,2*trunc(min({length},{other})/2)))'"

    size = f"w={unless_changed(width, f'{height}*dar')}:h={unless_changed(height, f'{width}/dar')}"
    fitted = ":".join([f"scale={size}:eval=frame:flags=lanczos", *options])
    return f"{fitted},pad={width}:{height}:-1:-1:eval=frame"


def _color_filters(video: VideoTrack, rendition: Rendition) -> list[str]:
    """Return filters for the largest size, in 8-bit 4:2:0 and colours that every screen shows."""
    if not video.is_hdr and not _is_rare(video):
        return [_fit_filter(video, rendition, *_conversion_options(video)), "format=yuv420p"]
    # Scaled first, because the filters after it work in floating point and are slow.
    pixels, matrix = _zscale_input(video)
    if video.is_hdr:
        convert = _HDR_TO_SDR.format(transfer=video.transfer, matrix=matrix)
    else:
        convert = _TO_BT709.format(primaries=_primaries(video), matrix=matrix)
    return [_fit_filter(video, rendition, *_range_options(video)), f"format={pixels}", convert]


def _zscale_input(video: VideoTrack) -> tuple[str, str]:
    """Return pixel format and matrix of zscale's input, in limited range, the only one of RGB."""
    if _is_rgb(video):
        return "gbrp10le", "gbr"
    default_matrix = "bt2020nc" if video.is_hdr or video.primaries == "bt2020" else "bt709"
    return "yuv420p10le", video.matrix or default_matrix


def _primaries(video: VideoTrack) -> str:
    if video.primaries:
        return video.primaries if video.primaries in _WIDE_PRIMARIES else "bt709"
    return "bt2020" if video.matrix.startswith("bt2020") else "bt709"


def _conversion_options(video: VideoTrack) -> list[str]:
    """Return options of the scaler for a range or matrix that is not the usual one."""
    if _is_rgb(video):
        return ["out_color_matrix=bt709", "out_range=tv"]
    is_converted_by_scaler = not video.plain_tags and video.matrix in _RARE_MATRICES
    return [*_range_options(video), *(["out_color_matrix=bt709"] if is_converted_by_scaler else [])]


def _range_options(video: VideoTrack) -> list[str]:
    """Return options of the scaler that convert to limited range."""
    if _is_rgb(video):
        return []
    if video.full_range or video.pixel_format.startswith("gray"):  # the scaler takes all gray as full range
        return [f"in_range={'pc' if video.full_range else 'tv'}", "out_range=tv"]
    return []
