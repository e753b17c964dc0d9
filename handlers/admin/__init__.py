"""Endpoints for admins."""
