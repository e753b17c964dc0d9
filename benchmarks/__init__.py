"""Measurements that print ratios from one run: what depends on the machine cancels out."""
