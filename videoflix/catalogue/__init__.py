"""The catalogue: which videos there are, who may change them, how they are listed and found."""

from videoflix.catalogue.service import Catalogue

__all__ = ["Catalogue"]
