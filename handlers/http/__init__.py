"""HTTP itself, below the endpoints: connections, heads, bodies, and what is no request at all."""
