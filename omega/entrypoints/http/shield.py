"""What is asked of every request before it comes to a route, and said with every answer, so that no page of
another site can use a browser against this server (docs/adr/0021).

*DNS rebinding*: a name of the page's own may come to mean 127.0.0.1, but the `Host` header has it too.
*Cross-site requests*: browsers say where a request comes from, in `Sec-Fetch-Site`, or at least in `Origin`.
*Reading from elsewhere* is for the origins that were allowed
(https://fetch.spec.whatwg.org/#http-cors-protocol).
"""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Final
from urllib.parse import parse_qsl

from attrs import field, frozen

from omega.domain.errors import BadInput
from omega.entrypoints.http.errors import HttpError
from omega.entrypoints.http.headers import Headers
from omega.entrypoints.http.wsgi_call import Environ

ANY: Final = "*"
#: All addresses: no name can be rebound to pass for one.
ADDRESSES: Final = ("0.0.0.0/0", "::/0")  # networks; nothing is bound here
_LOOPBACK: Final = ("localhost", "127.0.0.0/8", "::1/128")
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_AUTHORITY = re.compile(r"(?P<host>\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,255})(?::[0-9]{1,5})?")
_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,253}[a-z0-9_])?")
_ORIGIN = re.compile(rf"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<authority>{_AUTHORITY.pattern})")
#: What a form can send, besides the type that curl and requests give to bodies of no type.
_OF_FORMS: Final = frozenset({"text/plain", "multipart/form-data"})
_METHODS: Final = "GET, HEAD, POST, PUT, DELETE"
_REQUEST_HEADERS: Final = (
    "Accept, Authorization, Bucket, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Request-ID"
)
_ANSWER_HEADERS: Final = "Content-Disposition, ETag, Location, Retry-After, X-Request-ID"
_PREFLIGHT_S: Final = 600
_REMEMBERED: Final = 256


class WrongHost(HttpError):
    """The request is for a host that this server is not (RFC 9110, 15.5.20)."""

    status = HTTPStatus.MISDIRECTED_REQUEST


class CrossSite(HttpError):
    """A page of another site wants to change something."""

    status = HTTPStatus.FORBIDDEN


class FormContent(HttpError):
    """A body of a kind that only a form in a page sends."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


@frozen
class Shield:
    """The hosts that the server answers for, besides the loopback ones, and the origins whose pages may call
    it.

    A host is a name, a network (`10.0.0.0/8`) or `*`, which is any.
    """

    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    _networks: tuple[IPv4Network | IPv6Network, ...] = field(init=False, repr=False)
    _names: frozenset[str] = field(init=False, repr=False)
    #: Hosts that were asked for and are ours, as they were written.
    _known: set[str] = field(init=False, repr=False, eq=False, factory=set)

    @_networks.default
    def _of_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return tuple(ip_network(host) for host in (*_LOOPBACK, *self.hosts) if "/" in host)

    @_names.default
    def _of_names(self) -> frozenset[str]:
        return frozenset(host for host in (*_LOOPBACK, *self.hosts) if "/" not in host)

    @classmethod
    def of(cls, *, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> "Shield":
        """The shield for hosts and origins as they are written in settings.

        Raises: BadInput naming what cannot be read.
        """
        return cls(frozenset(map(_host, hosts)), frozenset(map(_origin, origins)))

    def check(self, environ: Environ) -> None:
        """Nothing, if the request may come in.

        Raises: WrongHost, CrossSite, FormContent.
        """
        self._check_host(environ.get("HTTP_HOST"))
        method = environ["REQUEST_METHOD"]
        if self._is_cross_site(environ) and (method not in _SAFE or _leaves_a_task(environ)):
            raise CrossSite(
                "a page of another site may not change anything here: its origin is not among those allowed "
                "(OMEGA_ALLOWED_ORIGINS)"
            )
        kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        if method == "POST" and kind in _OF_FORMS:
            raise FormContent(f"content of type {kind} is what forms in pages send: send application/json")

    def answer_headers(self, environ: Mapping[str, Any]) -> Headers:
        """What is said with the answer, for the page that asked."""
        if not self.origins:
            return ()
        vary, origin = ("Vary", "Origin"), environ.get("HTTP_ORIGIN", "")
        if origin.lower() not in self.origins:
            return (vary,)
        return (
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Expose-Headers", _ANSWER_HEADERS),
            vary,
        )

    def preflight(self, environ: Mapping[str, Any]) -> Headers | None:
        """What a browser is told that asks whether a page may make a request; `None` if this is no such
        question, or comes from an origin that is not allowed.
        """
        asked = environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
        if not asked or environ.get("HTTP_ORIGIN", "").lower() not in self.origins:
            return None
        return (
            ("Access-Control-Allow-Methods", _METHODS),
            ("Access-Control-Allow-Headers", _REQUEST_HEADERS),
            ("Access-Control-Max-Age", str(_PREFLIGHT_S)),
        )

    def _check_host(self, given: str | None) -> None:
        # HTTP/1.0 has none, and no browser leaves it out.
        if given is None or ANY in self._names:
            return
        if given in self._known:
            return
        host = host_of(given)
        if host is not None and (host in self._names or self._is_in_network(host)):
            if len(self._known) < _REMEMBERED:
                self._known.add(given)
        else:
            raise WrongHost(
                f"this server does not answer for the host {given[:80]!r}: it is not among those allowed "
                "(OMEGA_ALLOWED_HOSTS)"
            )

    def _is_in_network(self, host: str) -> bool:
        try:
            address = ip_address(host.strip("[]"))
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def _is_cross_site(self, environ: Environ) -> bool:
        """As Go's `http.CrossOriginProtection` decides (https://go.dev/issue/73626)."""
        origin, site = environ.get("HTTP_ORIGIN", "").lower(), environ.get("HTTP_SEC_FETCH_SITE", "").lower()
        if origin in self.origins:
            return False
        if site:
            return site not in ("same-origin", "none")
        # Who sends neither is no browser of these years.
        return bool(origin) and origin.partition("://")[2] != environ.get("HTTP_HOST", "").lower()


def host_of(authority: str) -> str | None:
    """The host of a `Host` header, in lower case and without port; `None` where it cannot be read.

    >>> host_of("Localhost:8000"), host_of("[::1]:80"), host_of("a.example@b")
    ('localhost', '[::1]', None)
    """
    match = _AUTHORITY.fullmatch(authority.lower())
    return match and match["host"].removesuffix(".")


def _leaves_a_task(environ: Environ) -> bool:
    """Whether a request that reads would still leave something behind."""
    return any(
        name == "async" for name, _ in parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    )


def _host(text: str) -> str:
    host = text.strip().lower()
    try:
        if host == ANY or ("/" not in host and _NAME.fullmatch(host)):
            return host
        return str(ip_network(host.strip("[]")))
    except ValueError:
        raise BadInput(
            f"OMEGA_ALLOWED_HOSTS (allowed_hosts) has {text!r}: it must be a name without port, an address, "
            "a network such as 10.0.0.0/8, or *"
        ) from None


def _origin(text: str) -> str:
    origin = text.strip().lower()
    if not _ORIGIN.fullmatch(origin):
        raise BadInput(
            f"OMEGA_ALLOWED_ORIGINS (allowed_origins) has {text!r}: it must be an origin such as "
            "https://app.example.org"
        )
    return origin
