"""All access to MongoDB: one class for each collection."""
