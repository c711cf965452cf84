"""A MongoDB database without a server."""

from datetime import UTC, datetime

import mongomock

from omega.adapters.mongo.database import MongoDatabase


class MockDatabase(MongoDatabase):
    """A database in this process, which has neither snapshots nor a server with a clock."""

    def __init__(self, *, snapshots: bool = False) -> None:
        client = mongomock.MongoClient()
        super().__init__("omega", lambda: client, snapshots=snapshots)

    def server_time(self) -> datetime:
        return datetime.now(UTC).replace(tzinfo=None)
