"""The published files: which names there are, what is known of the films they belong to, and how they are opened."""
