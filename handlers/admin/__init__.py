"""Endpoints for admins, one module for each thing that admins manage."""
