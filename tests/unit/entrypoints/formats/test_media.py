import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.domain.errors import BadInput
from omega.entrypoints import formats
from omega.entrypoints.formats import FORMATS, NotAcceptable, UnsupportedMediaType

ARROW = "application/vnd.apache.arrow.stream"


@pytest.mark.parametrize(
    ("accept", "name"),
    [
        (None, "json"),
        ("", "json"),
        ("*/*", "json"),
        ("application/json", "json"),
        ("text/csv", "csv"),
        ("TEXT/CSV", "csv"),
        ("text/*", "csv"),
        (f"{ARROW}, */*;q=0.1", "arrow"),
        (f"application/json;q=0.5, {ARROW};q=0.9", "arrow"),
        ("application/json;q=0, application/*", "arrow"),
        ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", "json"),
        ("application/x-ndjson; charset=utf-8; q=1.0", "ndjson"),
        ('text/csv; x="a, b;q=0"; q=0.3, application/vnd.apache.parquet;q=0.2', "csv"),
        ("application/x-parquet", "parquet"),
        (", text/csv ,", "csv"),
        ("*/*;q=0.5, text/csv;q=0", "json"),
    ],
)
def test_the_best_liked_format_is_chosen(accept: str | None, name: str) -> None:
    assert formats.negotiate(accept, None) is FORMATS[name]


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "*/*;q=0", "image/*, text/plain"])
def test_no_format_of_ours_is_not_acceptable(accept: str) -> None:
    with pytest.raises(NotAcceptable, match="it can be had as application/json, application/vnd"):
        formats.negotiate(accept, None)


@pytest.mark.parametrize(
    "accept", ["json", "text/csv;q=2", "text/csv;q=x", "a/b/c", "text/csv;q=0.1234", "x" * 5000]
)
def test_a_malformed_accept_header_is_refused(accept: str) -> None:
    with pytest.raises(BadInput, match="Accept header"):
        formats.negotiate(accept, None)


def test_the_format_parameter_wins() -> None:
    assert formats.negotiate("text/html", "csv") is FORMATS["csv"]
    with pytest.raises(
        BadInput, match="unknown format 'xls': the formats are json, arrow, parquet, csv, ndjson"
    ):
        formats.negotiate(None, "xls")


@pytest.mark.parametrize(
    ("content_type", "name"),
    [
        (None, "json"),
        ("", "json"),
        ("application/json; charset=utf-8", "json"),
        ('application/json; charset="UTF-8"', "json"),
        ("application/x-www-form-urlencoded", "json"),
        ("text/csv;charset=utf8;header=present", "csv"),
        (ARROW, "arrow"),
        ("Application/X-NDJSON", "ndjson"),
    ],
)
def test_a_body_is_read_by_its_content_type(content_type: str | None, name: str) -> None:
    assert formats.by_media_type(content_type) is FORMATS[name]


@pytest.mark.parametrize(
    ("content_type", "words"),
    [
        ("application/pickle", "'application/pickle': send application/json"),
        ("text/csv; charset=latin-1", "charset 'latin-1': send UTF-8"),
        ("nonsense", "'nonsense'"),
        ("application/json, text/csv", "send"),
        ("x" * 9999, r"\.\.\.': send"),
    ],
)
def test_other_content_is_unsupported(content_type: str, words: str) -> None:
    with pytest.raises(UnsupportedMediaType, match=words):
        formats.by_media_type(content_type)


def test_files_are_known_by_their_extension() -> None:
    names = (
        "a.json",
        "a.arrow",
        "a.feather",
        "dir.csv/a.parquet",
        "A.CSV",
        "a.ndjson",
        "a.jsonl",
        "a.txt",
        "csv",
    )
    found = [f.name if (f := formats.by_extension(n)) else None for n in names]
    assert found == ["json", "arrow", "arrow", "parquet", "csv", "ndjson", "ndjson", None, None]


@settings(max_examples=100, deadline=None)
@given(
    text=st.text(max_size=40) | st.from_regex(r"[a-z*]{1,4}/[a-z*]{1,4}(; ?q=[0-9.]{1,4})?(, ?[a-z*/]{1,5})?")
)
def test_no_header_crashes(text: str) -> None:
    for ask in (lambda: formats.negotiate(text, None), lambda: formats.by_media_type(text)):
        try:
            assert ask() in FORMATS.values()
        except BadInput:
            continue
