"""HTTP below the endpoints: connections, request heads, body limits, and responses to malformed requests."""
