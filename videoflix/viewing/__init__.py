"""What each person has watched, keeps on a list and thinks of films, and what all of them watch."""

from videoflix.viewing.service import UserVideoState, Viewing

__all__ = ["UserVideoState", "Viewing"]
