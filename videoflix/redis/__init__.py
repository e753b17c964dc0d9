"""Building blocks over the Redis client."""
