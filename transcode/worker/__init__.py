"""The worker: slots, leases, the process pool, and the order it keeps on the disk."""
