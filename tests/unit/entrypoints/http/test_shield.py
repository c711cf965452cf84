"""What comes to no route, and what is said with every answer."""

from typing import Any

import bottle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.domain.errors import BadInput
from omega.entrypoints.http.headers import completed
from omega.entrypoints.http.routing import Response, Route, build_app
from omega.entrypoints.http.shield import ADDRESSES, CrossSite, FormContent, Shield, WrongHost, host_of
from tests.support.wsgi import Reply, call, environ_for

OURS, APP, EVIL = "localhost:8000", "https://app.example.org", "https://evil.example"
SHIELD = Shield.of(hosts=["omega.example.org", "10.0.0.0/8"], origins=[APP])
LETTERS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=20)


def passes(shield: Shield, method: str = "POST", uri: str = "/", **headers: str) -> bool:
    environ = environ_for(method, uri, headers={n.replace("_", "-"): v for n, v in headers.items()})
    try:
        shield.check(environ)
    except (WrongHost, CrossSite, FormContent):
        return False
    return True


class TestHosts:
    @pytest.mark.parametrize(
        "host",
        [
            "localhost", "LOCALHOST:8000", "localhost.", "127.0.0.1:80", "127.9.9.9", "[::1]", "[::1]:8000",
            "[0:0:0:0:0:0:0:1]", "omega.example.org", "Omega.Example.org:443", "10.1.2.3:8000",
        ],
    )  # fmt: skip
    def test_ours(self, host: str) -> None:
        assert passes(SHIELD, Host=host)

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example", "localhost.evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", " ",
            "localhost@evil.example", "evil.example@localhost", "localhost:80:80", "localhost/", "127.1",
            "0x7f.1", "2130706433", "11.0.0.1", "[::ffff:127.0.0.1]", "[::1", "::1", "localhost evil.example",
            "localhost,evil.example", "omega.example.org.evil.example", "xomega.example.org", "127.0.0.1%00",
            "localhost:99999999", "..", "localhost..", "\u017flocalhost", "local\u212ahost",
        ],
    )  # fmt: skip
    def test_not_ours(self, host: str) -> None:
        assert not passes(SHIELD, method="GET", Host=host)

    def test_by_default_loopback_alone(self) -> None:
        assert not passes(Shield(), Host="omega.example.org")
        assert not passes(Shield(), Host="10.1.2.3")
        assert passes(Shield(), Host=OURS)

    def test_all_addresses_are_no_names(self) -> None:
        shield = Shield.of(hosts=ADDRESSES)
        assert passes(shield, Host="192.168.7.7:8000") and passes(shield, Host="[2001:db8::1]")
        assert not passes(shield, Host="evil.example")

    def test_any(self) -> None:
        assert passes(Shield.of(hosts=["*"]), Host="evil.example")

    def test_no_host_is_no_browser(self) -> None:
        assert passes(Shield())

    @given(name=LETTERS, port=st.integers(0, 65535))
    def test_a_name_passes_if_it_is_allowed(self, name: str, port: int) -> None:
        assert host_of(f"{name.upper()}:{port}") == name
        assert passes(Shield(frozenset({name})), Host=f"{name}:{port}")
        assert passes(Shield(frozenset({"other.example"})), Host=name) is (name == "localhost")

    @given(text=st.text())
    def test_anything_can_be_a_host_header(self, text: str) -> None:
        host = host_of(text)
        assert host is None or set(host) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-[]:")


class TestCrossSite:
    @pytest.mark.parametrize(
        ("headers", "passed"),
        [
            # The cases of Go's tests of http.CrossOriginProtection, and a few more.
            ({"Sec_Fetch_Site": "same-origin"}, True),
            ({"Sec_Fetch_Site": "none"}, True),
            ({"Sec_Fetch_Site": "cross-site"}, False),
            ({"Sec_Fetch_Site": "same-site"}, False),
            ({"Sec_Fetch_Site": "CROSS-SITE"}, False),
            ({"Sec_Fetch_Site": "same-origin,cross-site"}, False),
            ({"Sec_Fetch_Site": "nonsense"}, False),
            ({}, True),
            ({"Origin": f"http://{OURS}"}, True),
            ({"Origin": f"https://{OURS}"}, True),
            ({"Origin": "http://localhost:9000"}, False),
            ({"Origin": EVIL}, False),
            ({"Origin": "null"}, False),
            ({"Origin": "file://"}, False),
            ({"Origin": f"http://{OURS}.evil.example"}, False),
            ({"Origin": APP}, True),
            ({"Origin": APP.upper()}, True),
            ({"Origin": APP, "Sec_Fetch_Site": "cross-site"}, True),
            ({"Origin": f"{APP}:8443", "Sec_Fetch_Site": "cross-site"}, False),
            ({"Origin": "http://app.example.org", "Sec_Fetch_Site": "cross-site"}, False),
            ({"Origin": f"http://{OURS}", "Sec_Fetch_Site": "cross-site"}, False),
        ],
    )
    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "PROPFIND"])
    def test_who_may_change_something(self, method: str, headers: dict[str, str], passed: bool) -> None:
        assert passes(SHIELD, method, Host=OURS, **headers) is passed

    @pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
    def test_reading_is_safe(self, method: str) -> None:
        assert passes(SHIELD, method, Host=OURS, Origin=EVIL, Sec_Fetch_Site="cross-site")

    @pytest.mark.parametrize("query", ["async=1", "a=b&async=yes", "%61sync=1", "async", "async="])
    def test_a_task_is_left_by_nobody_else(self, query: str) -> None:
        uri = f"/api/v1/model/m/predict?{query}"
        assert not passes(SHIELD, "GET", uri, Host=OURS, Sec_Fetch_Site="cross-site")
        assert passes(SHIELD, "GET", uri, Host=OURS, Sec_Fetch_Site="same-origin")
        assert passes(SHIELD, "GET", uri, Host=OURS)

    @pytest.mark.parametrize(
        ("kind", "passed"),
        [
            ("text/plain", False), ("Text/Plain; charset=utf-8", False),
            ("multipart/form-data; boundary=x", False),
            # What curl and requests say of bodies of no type.
            ("application/x-www-form-urlencoded", True), ("application/json", True), ("", True),
        ],
    )  # fmt: skip
    def test_forms(self, kind: str, passed: bool) -> None:
        assert passes(SHIELD, "POST", Host=OURS, Content_Type=kind) is passed
        assert passes(SHIELD, "PUT", Host=OURS, Content_Type=kind)

    @given(origin=st.text(), site=st.text(min_size=1), host=LETTERS)
    def test_what_a_stranger_says_does_not_let_it_in(self, origin: str, site: str, host: str) -> None:
        assert passes(Shield(frozenset({host})), Host=host, Origin=origin, Sec_Fetch_Site=site) is (
            site.lower() in ("same-origin", "none")
        )


class TestApplication:
    """Whatever the route, and where there is none."""

    @pytest.fixture
    def reached(self) -> list[str]:
        return []

    @pytest.fixture
    def app(self, reached: list[str]) -> bottle.Bottle:
        def handler(request: Any) -> Response:
            reached.append(request.method)
            return Response(200, {}, (("Vary", "Accept"), ("Cache-Control", "no-store")))

        routes = [Route(method, "/x", handler) for method in ("GET", "POST", "PUT", "DELETE")]
        return build_app(routes, shield=SHIELD)

    def ask(self, app: bottle.Bottle, method: str, uri: str = "/x", **headers: str) -> Reply:
        return call(app, method, uri, headers={n.replace("_", "-"): v for n, v in headers.items()})

    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
    @pytest.mark.parametrize("uri", ["/x", "/none", "/%"])
    def test_a_wrong_host_comes_nowhere(
        self, app: bottle.Bottle, reached: list[str], method: str, uri: str
    ) -> None:
        reply = self.ask(app, method, uri, Host="evil.example")
        assert (reply.status, reached) == (421, [])
        assert method == "HEAD" or "evil.example" in reply.json["detail"]

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
    def test_another_site_changes_nothing(self, app: bottle.Bottle, reached: list[str], method: str) -> None:
        reply = self.ask(app, method, Host=OURS, Origin=EVIL)
        assert (reply.status, reached) == (403, [])
        assert reply.headers["content-type"] == "application/problem+json"

    def test_an_origin_that_is_allowed_may_ask_and_read(self, app: bottle.Bottle, reached: list[str]) -> None:
        asked = self.ask(app, "OPTIONS", Origin=APP, Access_Control_Request_Method="PUT")
        assert (asked.status, reached) == (204, [])
        assert "PUT" in asked.headers["access-control-allow-methods"]
        assert "Authorization" in asked.headers["access-control-allow-headers"]
        assert asked.headers["access-control-allow-origin"] == APP
        reply = self.ask(app, "PUT", Host=OURS, Origin=APP, Sec_Fetch_Site="cross-site")
        assert (reply.status, reached) == (200, ["PUT"])
        assert reply.headers["access-control-allow-origin"] == APP
        assert "ETag" in reply.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in reply.headers
        assert reply.headers["vary"] == "Accept, Origin"

    @pytest.mark.parametrize("origin", [EVIL, "null", f"{APP}.evil.example", f"{APP}, {EVIL}", "*", ""])
    def test_any_other_may_not(self, app: bottle.Bottle, origin: str) -> None:
        asked = self.ask(app, "OPTIONS", Origin=origin, Access_Control_Request_Method="PUT")
        read = self.ask(app, "GET", Host=OURS, Origin=origin)
        for reply in (asked, read):
            assert not [name for name in reply.headers if name.startswith("access-control")]
            assert "Origin" in reply.headers["vary"]

    def test_without_origins_there_is_no_such_thing(self) -> None:
        app = build_app([Route("GET", "/x", lambda _: Response(200, {}))])
        for method in ("GET", "OPTIONS"):
            reply = self.ask(app, method, Origin=APP, Access_Control_Request_Method="GET")
            assert not [name for name in reply.headers if name.startswith("access-control") or name == "vary"]

    @pytest.mark.parametrize(
        ("method", "uri"), [("GET", "/x"), ("GET", "/none"), ("PATCH", "/x"), ("GET", "/%")]
    )
    def test_every_answer_is_no_page(self, app: bottle.Bottle, method: str, uri: str) -> None:
        headers = self.ask(app, method, uri).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert headers["cache-control"] == "no-store"


@given(
    own=st.lists(
        st.tuples(
            st.sampled_from(["Vary", "vary", "ETag", "Content-Security-Policy", "CACHE-CONTROL"]), LETTERS
        ),
        unique_by=lambda header: header[0].lower(),
    ),
    more=st.sampled_from([(), (("Vary", "Origin"),)]),
)
def test_what_an_answer_says_itself_holds(own: Any, more: Any) -> None:
    whole = completed(own, request_id="id", more=more)
    names = [name.lower() for name, _ in whole]
    assert len(set(names)) == len(names) >= 7
    found = {name.lower(): value for name, value in whole}
    for name, value in own:
        assert found[name.lower()] == (f"{value}, Origin" if name.lower() == "vary" and more else value)


@pytest.mark.parametrize("host", ["a b", "https://x", "x:80", "10.0.0.1/8", "", "*.example.org", "a/b"])
def test_a_host_that_cannot_be_read_is_refused(host: str) -> None:
    with pytest.raises(BadInput, match="OMEGA_ALLOWED_HOSTS"):
        Shield.of(hosts=[host])


@pytest.mark.parametrize(
    "origin", ["*", "null", "app.example.org", f"{APP}/", f"{APP}/x", "https://", "", "a b"]
)
def test_an_origin_that_cannot_be_read_is_refused(origin: str) -> None:
    with pytest.raises(BadInput, match="OMEGA_ALLOWED_ORIGINS"):
        Shield.of(origins=[origin])
