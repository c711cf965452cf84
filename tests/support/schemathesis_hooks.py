"""What schemathesis must know of this API beyond its description: how legal names and real files are made.

A JSON Schema can say neither that a name is in NFC, within 255 bytes of UTF-8 and no action word, nor what is
inside a Parquet file. Without these strategies nearly all that is tried is refused at the door.
"""

import io
import unicodedata
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import schemathesis
from hypothesis import strategies as st

from omega.domain.errors import BadInput
from omega.domain.names import ACTION_WORDS, DATASET, check_name

#: Names of each resource: what is there from the start, and so few others that what one request has stored
#: the next ones find.
KNOWN = {
    "dataset": ("sample",),
    "model": ("mymodel",),
    "job": ("testjob", "testjob.ipynb"),
    "script": ("double",),
    "job-result": ("testjob", "results/testjob_1.ipynb"),
}
MADE = ("a/b", "Straße/été 1")
_WORDS = frozenset().union(*ACTION_WORDS.values()) | {"results", "export"}


def is_legal(name: str) -> bool:
    try:
        check_name(name, resource=DATASET)
    except BadInput:
        return False
    return not _WORDS & set(name.split("/")) and not name.endswith(".ipynb")


def names(resource: str) -> st.SearchStrategy[str]:
    letters = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\\*?[]^@#:%")
    odd = st.text(letters, min_size=1, max_size=20).map(lambda name: unicodedata.normalize("NFC", name))
    known = st.sampled_from(KNOWN[resource])
    return known | known | st.sampled_from(MADE) | odd.filter(is_legal)


def references(resource: str) -> st.SearchStrategy[str]:
    at = st.sampled_from(["", "", "", "@1", "@2", "^", "^^"])
    return st.builds(str.__add__, names(resource), at)


def selections() -> st.SearchStrategy[str]:
    columns = st.sampled_from(["[x]", "[x]", "[y]", "", "[^y]", "[x:y]", "[z]"])
    return st.builds(str.__add__, references("dataset"), columns)


def table() -> st.SearchStrategy[pa.Table]:
    numbers = st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), max_size=3)
    return numbers.map(lambda values: pa.table({"x": pa.array(values, pa.int64())}))


def _parquet(made: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(made, file)
    return file.getvalue()


def _arrow(made: pa.Table) -> bytes:
    file = io.BytesIO()
    with pa.ipc.new_stream(file, made.schema) as writer:
        writer.write_table(made)
    return file.getvalue()


def _lines(made: pa.Table) -> bytes:
    return "".join(f'{{"x":{"null" if x is None else x}}}\n' for x in made["x"].to_pylist()).encode()


def _csv(made: pa.Table) -> bytes:
    return "\n".join(["x", *("" if x is None else str(x) for x in made["x"].to_pylist()), ""]).encode()


for resource in KNOWN:
    schemathesis.openapi.format(f"omega-{resource}", names(resource))
    schemathesis.openapi.format(f"omega-{resource}-reference", references(resource))
schemathesis.openapi.format("omega-dataset-selection", selections())
schemathesis.openapi.format("omega-bucket", st.sampled_from(["store", "store", "store", "team"]))
TAGS = ['"1"', '"2"', 'W/"1", "3"', "*", '"none"']
schemathesis.openapi.format("etags", st.sampled_from(TAGS))
schemathesis.openapi.format("omega-task", st.uuids().map(str))
schemathesis.openapi.media_type("application/vnd.apache.parquet", table().map(_parquet))
schemathesis.openapi.media_type("application/vnd.apache.arrow.stream", table().map(_arrow))
schemathesis.openapi.media_type("application/x-ndjson", table().map(_lines))
schemathesis.openapi.media_type("text/csv", table().map(_csv))
schemathesis.openapi.media_type("application/octet-stream", st.binary(max_size=50))
schemathesis.openapi.format(
    "omega-estimator",
    st.sampled_from(
        [
            "LinearRegression",
            "SGDClassifier",
            "StandardScaler",
            "sklearn.naive_bayes.GaussianNB",
            "KMeans",
            "Nope",
        ]
    ),
)
schemathesis.openapi.format(
    "cron", st.sampled_from(["30 6 * * *", "0 0 1 1 *", "*/5 * * * mon-fri", "0 0 30 2 *"])
)
schemathesis.openapi.format("time-zone", st.sampled_from(["UTC", "Europe/Berlin", "Nowhere/City"]))
schemathesis.openapi.format("python", st.sampled_from(["print(2 + 3)", "1 / 0", "# %% a\nx = 1\n# %% b\nx"]))
schemathesis.openapi.format(
    "python-script",
    st.sampled_from(
        [
            "def run(om, *args, **kwargs):\n    return [args, kwargs]",
            "def run(om):\n    1 / 0",
            "no = 'run'",
            "(",
        ]
    ),
)


@schemathesis.serializer("text/x-python")
def text(context: schemathesis.SerializationContext, value: Any) -> dict[str, Any]:
    """Source text goes out as it is."""
    return {"data": value if isinstance(value, bytes) else str(value).encode()}
