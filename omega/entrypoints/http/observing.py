"""What becomes of each request once it is answered: figures, and an entry in the access log."""

import logging

from omega.entrypoints.http.exchange import Exchange, Observer
from omega.entrypoints.logs import ACCESS
from omega.ports.meter import Meter


def observer(meter: Meter) -> Observer:
    """Tells the meter, and the access log where there is one."""

    def observe(exchange: Exchange) -> None:
        meter.answered(
            route=exchange.route, method=exchange.method, status=exchange.status, seconds=exchange.seconds
        )
        if ACCESS.isEnabledFor(logging.INFO):
            _log(exchange)

    return observe


def _log(exchange: Exchange) -> None:
    """Queries are left out: they hold values of data."""
    facts = {
        "request_id": exchange.request_id,
        "client": exchange.client,
        "method": exchange.method,
        "path": exchange.path,
        "route": exchange.route,
        "status": exchange.status,
        "sent_bytes": exchange.sent_bytes,
        "duration_ms": round(exchange.seconds * 1000, 3),
    }
    words = "%(client)s %(method)s %(path)s %(status)d %(sent_bytes)d bytes %(duration_ms).1f ms"
    ACCESS.info(words, facts, extra={"facts": facts})
