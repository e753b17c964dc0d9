"""The Lua scripts: each one move, as a whole, on Redis's own clock (milliseconds).

Keys, all under one prefix (`KEYS[1]`, by default "videoflix:"); one Redis node, since scripts compute names:

    serial                    counter of jobs; a job's id is "<film>.<serial>", so no two jobs are ever confused
    order                     counter of enqueued tasks: the older one of two equal priorities goes first
    film:<film>               id of the film's current job
    films                     sorted set, film by time of its job's start (newest last)
    job:<job>                 hash: id film state created started ended open total base done error failed_task last
                              (open: tasks that are not final; total/base/done: weights; last: the closing tasks),
                              "rank:<task>" for tasks that a viewer wants before they are enqueued,
                              "lost:<task>" how often what a task builds on was gone
    tasks:<job>               set of the job's task ids
    task:<job>:<task>         hash: job film id kind index rendition lane rank weight limit optional state attempts
                              progress parts token worker created claimed ended due error last_words result
    queue:<lane>              sorted set of "<job>|<task>", smallest rank first
    delayed                   sorted set of "<job>|<task>" by the time from which it may be tried again
    leases                    sorted set of "<job>|<task>|<token>" by the end of the lease; one whose task was
                              cancelled stays until its worker has let go
    reaper                    that somebody looked for expired leases a moment ago (expires)
    ended                     sorted set of jobs by their end, for trimming
    want:<film>:<rendition>:<n>  sorted set of web processes with waiting viewers, by the end of their interest
    hold                      why no work is claimed at the moment (expires)

Interactive segments live in the job "<film>.live", which has tasks but no hash: they are nobody's progress.

Channels: `wake` (a lane has work, or "cancel"), `segment` (JSON: film rendition number ok error),
`film` (a film's id: something about it changed).
"""

from __future__ import annotations

from importlib import resources

from transcode.ledger.states import TRANSITIONS

SCRIPT_NAMES = (
    "start", "claim", "renew", "settle", "fail", "release", "reopen", "reap", "cancel", "raise",
    "forget", "want", "unwant", "held", "show", "progress", "tally",
)  # fmt: skip


def _transitions_as_lua() -> str:
    rows = (
        f"{state.value} = {{{', '.join(f'{to.value} = true' for to in sorted(targets))}}}"
        for state, targets in TRANSITIONS.items()
    )
    return f"local MOVES = {{{', '.join(rows)}}}\n"


def load_scripts() -> dict[str, str]:
    """Name to source, each with the moves and the common functions in front."""
    folder = resources.files(__package__)
    common = _transitions_as_lua() + folder.joinpath("common.lua").read_text("utf-8")
    return {name: common + folder.joinpath(f"{name}.lua").read_text("utf-8") for name in SCRIPT_NAMES}
