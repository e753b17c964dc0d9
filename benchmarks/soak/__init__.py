"""A soak test: a complete Videoflix under load and many faults, which must have kept all promises afterwards.

python -m benchmarks.soak [--minutes 5] [--seed N]

Videos are uploaded, watched and deleted, and users register, sign in and change their passwords, while processes are
killed and suspended and the disk runs full. The seed determines the actions of each; their timing depends on the
machine, so run a seed that failed several times.
"""
