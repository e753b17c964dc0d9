"""Examination of uploaded files, none of which is trusted: what a video holds, or why a file is rejected.

`probe.probe_source` is the entry; `source.Source` describes the result.
"""
