"""Benchmarks. They print ratios of two measurements in one run, so that the speed of the machine cancels out."""
