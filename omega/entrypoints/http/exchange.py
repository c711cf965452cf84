"""One request and how it was answered, for those who count and for the access log."""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from attrs import define

from omega.entrypoints.http.headers import REQUEST_ID
from omega.entrypoints.http.wsgi_call import Environ

#: Where the application leaves the path of the route that it took, as the route table has it.
ROUTE: Final = "omega.route"

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@define(eq=False)
class Exchange:
    """A request and its answer. `path` is as it was sent, without the query; `status` is 0 as long as nothing
    was answered; `sent_bytes` are those of the body. `route` is empty where there is none.
    """

    request_id: str
    client: str
    method: str
    path: str
    began: float
    route: str = ""
    status: int = 0
    sent_bytes: int = 0

    @classmethod
    def begun(cls, environ: Environ) -> "Exchange":
        """One whose request has just come."""
        return cls(
            environ[REQUEST_ID],
            environ["REMOTE_ADDR"],
            environ["REQUEST_METHOD"],
            environ["RAW_URI"],
            time.perf_counter(),
        )

    @property
    def seconds(self) -> float:
        """How long ago it began."""
        return time.perf_counter() - self.began

    async def send(self, status: int, headers: list[tuple[bytes, bytes]], send: Send) -> None:
        """Send status and headers, and take note of them."""
        await send({"type": "http.response.start", "status": status, "headers": headers})
        self.status = status

    async def send_body(self, body: bytes, send: Send, *, more: bool = False) -> None:
        """Send a part of the body, and take note of its length."""
        await send({"type": "http.response.body", "body": body, "more_body": more})
        self.sent_bytes += len(body)


Observer = Callable[[Exchange], object]
