"""ffmpeg's arguments as pure data, and the process that runs it.

Equal inputs give equal argument lists; only `process.py` starts programs. ffmpeg runs in the scratch folder of one
attempt, and every argument list writes into that folder.
"""
