"""Serving published files: a fast path for cached ones, a handler for all others, one set of rules for both."""
