"""Log in as fast as the server allows, from a separate process. Print the number of successes and of failures.

python -m benchmarks.login_flood URL EMAIL PASSWORD CONNECTIONS SECONDS

EMAIL contains {} for the number of the connection, so that each has an account of its own. This is a single loop over
bare sockets, to leave the processor to the server.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import time
from selectors import EVENT_READ, DefaultSelector
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n", re.IGNORECASE)


class Client:
    """A connection that sends a login whenever the response to the last one is complete."""

    def __init__(self, url: str, email: str, password: str) -> None:
        address = urlsplit(url)
        body = json.dumps({"email": email, "password": password}).encode()
        kind = "Content-Type: application/json"
        head = f"POST /api/login/ HTTP/1.1\r\nHost: x\r\n{kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        self._request = head.encode() + body
        self.socket = socket.create_connection((address.hostname, address.port))
        self._response = b""

    def send(self) -> None:
        """Send the next login."""
        self._response = b""
        self.socket.sendall(self._request)

    def receive_status(self) -> int:
        """Read what has arrived. Return the status once the response is complete, else 0."""
        self._response += self.socket.recv(65536)
        head, end, body = self._response.partition(b"\r\n\r\n")
        if not end or len(body) < int(_LENGTH.search(head + b"\r\n")[1]):  # type: ignore[index]
            return 0
        return int(head.split(b" ", 2)[1])


def main() -> None:
    """Flood the server and print the counts."""
    url, email, password, connections, seconds = sys.argv[1:]
    clients = [Client(url, email.format(number), password) for number in range(int(connections))]
    until = time.monotonic() + float(seconds)
    counted = {True: 0, False: 0}
    with DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, EVENT_READ, client)
            client.send()
        while (left := until - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                if status := key.data.answered():
                    counted[status == 200] += 1
                    key.data.send()
    for client in clients:
        client.socket.close()
    print(json.dumps({"done": counted[True], "refused": counted[False]}))


if __name__ == "__main__":
    main()
