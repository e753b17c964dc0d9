"""Authentication: tokens, sessions, and whom a request comes from."""
