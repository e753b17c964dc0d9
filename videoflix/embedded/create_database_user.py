"""Create the only user of the embedded database while nobody else can reach it.

Run as a script, in a process of its own, by the interpreter that the database server belongs to; nothing imports it.
The server itself can only create users over a port that is still open to everybody on the machine.

Usage: `create_database_user.py FOLDER USER`, the password on stdin.
"""

from __future__ import annotations

import sys

from secantus.auth import SCRAM_SHA_256, derive_credentials  # type: ignore[import-untyped]
from secantus.storage import Storage  # type: ignore[import-untyped]


def main(folder: str, user: str, password: str) -> None:
    """Write the user with all rights into the data of `folder`, or replace its password. Safe to repeat."""
    record = {
        "_id": f"admin.{user}",
        "user": user,
        "db": "admin",
        "credentials": derive_credentials(password).to_doc(),
        "roles": [{"role": "root", "db": "admin"}],
        "mechanisms": [SCRAM_SHA_256],
    }
    storage = Storage(folder, enable_oplog=False, sync_on_commit=True)
    try:
        storage.add_user("admin", user, record, replace=True)
    finally:
        storage.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.stdin.read())
