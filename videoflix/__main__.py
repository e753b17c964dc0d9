"""`python -m videoflix` is `videoflix`."""

from videoflix.cli import main

main()
