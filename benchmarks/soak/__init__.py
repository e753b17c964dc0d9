"""Many faults at once in a whole Videoflix, for minutes; afterwards everything that was promised must be there.

python -m benchmarks.soak [--minutes 5] [--seed N]

Films come in, are watched and deleted, people register, sign in and change their passwords, while processes are killed
and stopped and the disk runs full. The seed decides the moves of each of them; which fault meets which move is up to
the machine, so a seed that failed is worth several runs.
"""
