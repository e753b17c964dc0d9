"""Watching: progress, lists and ratings of each user, and what is popular."""

from videoflix.viewing.service import UserVideoState, Viewing

__all__ = ["UserVideoState", "Viewing"]
