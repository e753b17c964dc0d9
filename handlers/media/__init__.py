"""How published files travel: a fast lane for what is at hand, a handler for everything else, one set of rules."""
