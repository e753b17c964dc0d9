"""What ffmpeg is told, as pure data: equal plans give equal argument lists; starting it is `runner`'s job.

Every plan writes into the folder that ffmpeg is started in, the attempt's own.
"""
