"""The catalogue: which videos exist, how admins change them, and how they are listed and searched."""

from transcode import JobProgress
from videoflix.catalogue.service import Catalogue

__all__ = ["Catalogue", "JobProgress"]
