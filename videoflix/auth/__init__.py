"""Tokens and sessions: who a request comes from."""
