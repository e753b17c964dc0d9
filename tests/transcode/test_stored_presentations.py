"""Presentations stored by earlier versions: they are read, and give the same plans as their finished segments had."""

from __future__ import annotations

import json
from fractions import Fraction

from transcode.ffmpeg import video_filters
from transcode.presentation import Presentation

STORED = """
{"version": 1, "grid": {"fps": "25", "frames": 500},
 "renditions": [{"name": "480p", "width": 854, "height": 480, "cap": 2500000, "level": "3.0"},
                {"name": "720p", "width": 1280, "height": 720, "cap": 5000000, "level": "3.1"}],
 "video": {"index": 0, "width": 1280, "height": 720, "interlaced": false, "pixel_format": "yuv420p",
           "matrix": "bt470bg", "primaries": "bt470bg", "transfer": "smpte170m", "full_range": false, "lag": 0.0,
           "refresh": 0.0},
 "audio": [{"index": 1, "channels": 1, "language": "und", "title": ""}], "subtitles": [], "origin": 0.0,
 "file_start": 0.0, "remuxed": false, "keyed": false, "warning": ""}
"""
SEEK = ["-reinit_filter:v", "0", "-noaccurate_seek", "-ss", "3.920000"]
ON_GRID = (
    "tpad=stop=4:stop_mode=clone,fps=25:eof_action=pass,tpad=stop=-1:stop_mode=clone,fps=25:start_time=4.000000000,"
    "trim=end_frame=200"
)
SIZES = [
    "[grid]scale=w='if(lt(abs(dar/1.777778-1),0.02),1280,max(2,2*trunc(min(1280,720*dar)/2)))'"
    ":h='if(lt(abs(dar/1.777778-1),0.02),720,max(2,2*trunc(min(720,1280/dar)/2)))':eval=frame:flags=lanczos,"
    "pad=1280:720:-1:-1:eval=frame,format=yuv420p,setsar=1,split[720p][below0]",
    "[below0]scale=854:480:flags=lanczos,setsar=1[480p]",
]
TAGS = ["-colorspace", "bt470bg", "-color_primaries", "bt470bg", "-color_trc", "gamma28", "-color_range", "tv"]


def test_a_presentation_of_an_earlier_version_gives_the_same_plan() -> None:
    presentation = Presentation.from_json(json.loads(STORED))
    assert (presentation.segment_count, presentation.rendition_names) == (5, ("480p", "720p"))
    assert video_filters.seek_options(presentation, Fraction(4)) == SEEK
    assert video_filters.grid_filters(presentation, Fraction(4), 200) == ON_GRID
    assert video_filters.scale_chains(presentation, presentation.renditions) == SIZES
    assert video_filters.color_tags(presentation) == TAGS


def test_a_presentation_of_an_earlier_version_is_stored_again_intact() -> None:
    presentation = Presentation.from_json(json.loads(STORED))
    assert Presentation.from_json(json.loads(json.dumps(presentation.as_json()))) == presentation
