"""The composition root: the one place that knows settings, clients, stores, services, engine and handlers at once."""
