"""The tasks: one module per kind, with the plan of its ffmpeg run and the function that runs and publishes it.

Tasks run in the processes of the encoder pool. They are idempotent, and publish only complete files.
"""
