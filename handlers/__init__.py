"""HTTP: the URL space and one module for each family of endpoints."""
