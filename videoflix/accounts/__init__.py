"""Accounts: registration, login, passwords, rate limits, and the administration of users."""
