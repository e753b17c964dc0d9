"""What each person has watched, keeps on a list and thinks of films, and what all of them watch."""

from videoflix.viewing.service import Own, Viewing

__all__ = ["Own", "Viewing"]
