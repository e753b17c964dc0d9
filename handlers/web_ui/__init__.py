"""The page at `/`: sign in, watch, and put a film in, before there is a frontend of one's own."""
