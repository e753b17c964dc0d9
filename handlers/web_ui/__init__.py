"""A minimal web page at `/`: sign in, watch and upload videos, until there is a frontend of your own."""
