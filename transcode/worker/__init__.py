"""The worker: claims tasks, runs them in a process pool, and keeps the ledger, the repository and the disk in step."""
