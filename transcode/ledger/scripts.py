"""The Lua scripts. Each is one atomic change (or one snapshot), on Redis's own clock in milliseconds.

All keys share one prefix (`KEYS[1]`, by default "videoflix:"). One Redis node only, since scripts compute key names.
Keys and fields keep the names of earlier versions, in which a video was a film, a queue a lane:

    serial                    counter of jobs; a job's id is "<video>.<serial>", so no two jobs are ever confused
    order                     counter of enqueued tasks: of two equal priorities the older goes first
    film:<video>              id of the video's current job
    films                     sorted set of videos by the time of their job's start (newest last)
    job:<job>                 hash: id film state created started ended open total base done error failed_task last
                              (open: number of tasks that have not ended; total/base/done: weights; last: the closing
                              tasks as JSON), "rank:<task>" for tasks promoted before they are enqueued,
                              "lost:<task>" how often the task restarted the job
    tasks:<job>               set of the job's task ids
    task:<job>:<task>         hash: job film id kind index rendition lane rank weight limit optional state attempts
                              progress parts token worker created claimed ended due error last_words result
                              (lane: its queue; limit: of attempts; last_words: the end of ffmpeg's stderr)
    queue:<queue>             sorted set of "<job>|<task>", smallest rank first
    delayed                   sorted set of "<job>|<task>" by the time at which the retry is due
    leases                    sorted set of "<job>|<task>|<token>" by expiry; the lease of a cancelled task stays until
                              its worker releases it
    reaper                    exists if leases were reaped a moment ago (expires)
    ended                     sorted set of jobs by their end, for trimming
    want:<video>:<rendition>:<n>  sorted set of web processes that request the segment, by the expiry of their request
    hold                      why no task is claimed at the moment (expires)

On-demand segments are tasks of the job "<video>.live", which has no hash: they count towards no progress.

Channels: `wake` (the name of a queue with new tasks, "retry" or "cancel"), `segment` (JSON: film rendition number ok
error), `film` (the id of a video that changed).
"""

from __future__ import annotations

from importlib import resources

from transcode.ledger.states import TRANSITIONS

SCRIPT_NAMES = (
    "start", "claim", "renew", "complete", "fail", "release", "restart_job", "reap", "cancel", "promote", "forget",
    "request", "withdraw", "active_leases", "show_job", "show_progress", "count_tasks",
)  # fmt: skip


def _transitions_as_lua() -> str:
    rows = (
        f"{state.value} = {{{', '.join(f'{target.value} = true' for target in sorted(targets))}}}"
        for state, targets in TRANSITIONS.items()
    )
    return f"local TRANSITIONS = {{{', '.join(rows)}}}\n"


def load_scripts() -> dict[str, str]:
    """Return the source of every script by its name, preceded by the transitions and the common functions."""
    folder = resources.files(__package__)
    common = _transitions_as_lua() + folder.joinpath("common.lua").read_text("utf-8")
    return {name: common + folder.joinpath(f"{name}.lua").read_text("utf-8") for name in SCRIPT_NAMES}
