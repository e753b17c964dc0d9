"""The composition root: builds clients, stores, services, engine and handlers from the settings and connects them."""
