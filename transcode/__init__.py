"""Films become HLS: the grid, the ffmpeg plans, the ledger of work and the worker that does it."""
