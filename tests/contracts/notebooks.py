"""What every notebook converter must do."""

import copy
import json
from functools import partial
from typing import Any

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omega.ports.notebooks import InvalidNotebook, NotebookConverter, UnsupportedFormat
from tests.support.notebooks import code, notebook, printed, shown, text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
#: Parts of which something like a notebook can be put together.
PART = JSON | st.sampled_from(
    ["code", "markdown", "raw", "stream", "stdout", "display_data", "error", 3, 4, 5]
)
KEYS = ["nbformat", "nbformat_minor", "cells", "worksheets", "metadata", "cell_type", "source", "outputs"]
KEYS += ["id", "execution_count", "output_type", "name", "text", "data", "input", "language", "kernelspec"]
ALMOST = st.recursive(
    PART,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=8),
    max_leaves=30,
)

LINE = st.sampled_from(["x = 1", "if x:", "    pass", "", "# a comment", "'\\n'", "print('# %%')"])
LINE |= st.text(st.characters(codec="utf-8", exclude_characters="\r\n%"), max_size=9).map("# {}".format)
SOURCE = st.lists(LINE, max_size=5).map(lambda lines: "\n".join(line.rstrip() for line in lines).strip("\n"))
TAGS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters=",\r\n"), min_size=1), unique=True)
CELL = st.builds(
    lambda kind, source, tags: (
        (code if kind == "code" else partial(text, kind=kind))(source)
        | {"metadata": {"tags": tags} if tags else {}}
    ),
    st.sampled_from(["code", "markdown", "raw"]),
    SOURCE,
    TAGS,
)

VERSION_3 = {
    "nbformat": 3,
    "nbformat_minor": 0,
    "metadata": {"name": "old"},
    "worksheets": [
        {
            "metadata": {},
            "cells": [
                {"cell_type": "heading", "level": 2, "metadata": {}, "source": ["Old times"]},
                {
                    "cell_type": "code",
                    "collapsed": False,
                    "input": ["print(1)\n", "2"],
                    "language": "python",
                    "metadata": {},
                    "outputs": [
                        {"output_type": "stream", "stream": "stdout", "text": ["1\n"]},
                        {"output_type": "pyout", "prompt_number": 7, "text": ["2"], "metadata": {}},
                    ],
                    "prompt_number": 7,
                },
            ],
        }
    ],
}


class NotebookConverterSuite:
    """Fixture: `converter`."""

    def test_a_notebook_of_today_is_read_as_it_is(self, converter: NotebookConverter) -> None:
        picture = shown({"image/png": "aGk=", "text/plain": "hi"})
        stream = {"output_type": "stream", "name": "stdout", "text": "1\n"}
        document = notebook(text("# Hi"), code("print(1)", outputs=[stream, picture]), text("x", kind="raw"))
        assert converter.read(document) == document

    def test_texts_in_lines_become_whole(self, converter: NotebookConverter) -> None:
        stream = {"output_type": "stream", "name": "stdout", "text": ["1\n", "2\n"]}
        picture = shown({"text/plain": ["a", "b"], "application/json": ["a", "b"]})
        read = converter.read(notebook(code(["x\n", "y"], outputs=[stream, picture])))
        (cell,) = read["cells"]
        assert (cell["source"], cell["outputs"][0]["text"]) == ("x\ny", "1\n2\n")
        assert cell["outputs"][1]["data"] == {"text/plain": "ab", "application/json": ["a", "b"]}

    def test_ids_that_are_missing_or_not_their_own_are_replaced(self, converter: NotebookConverter) -> None:
        document = notebook("1", "2", "3", "4", "5")
        for cell, id in zip(document["cells"], ["same", None, "same", "cell-2", None], strict=True):
            cell["id"] = id
        del document["cells"][4]["id"]
        first, second = converter.read(document), converter.read(copy.deepcopy(document))
        assert first == second
        ids = [cell["id"] for cell in first["cells"]]
        assert (ids[0], ids[3]) == ("same", "cell-2")
        assert len(set(ids)) == 5

    @pytest.mark.parametrize("minor", range(6))
    def test_all_minor_versions_of_4_become_5(self, converter: NotebookConverter, minor: int) -> None:
        document = notebook("1") | {"nbformat_minor": minor}
        if minor < 5:
            del document["cells"][0]["id"]
        read = converter.read(document)
        assert (read["nbformat"], read["nbformat_minor"]) == (4, 5)
        assert read == converter.read(document)
        nbformat.validate(nbformat.from_dict(read))

    def test_version_3_is_upgraded(self, converter: NotebookConverter) -> None:
        read = converter.read(VERSION_3)
        assert read == converter.read(VERSION_3)
        heading, cell = read["cells"]
        assert (heading["cell_type"], heading["source"]) == ("markdown", "## Old times")
        assert (cell["source"], cell["execution_count"]) == ("print(1)\n2", 7)
        assert printed(read)[1] == "1\n2"
        assert converter.read(read) == read

    @pytest.mark.parametrize(
        "value",
        [
            None,
            1,
            "x",
            b"{}",
            [],
            [notebook()],
            {},
            {"nbformat": 4},
            {"nbformat": 4, "nbformat_minor": 5, "metadata": {}},
            notebook() | {"nbformat": 99},
            notebook() | {"nbformat": 5},
            notebook() | {"nbformat": 2},
            notebook() | {"nbformat": 1},
            notebook() | {"nbformat": 0},
            notebook() | {"nbformat": 4.0},
            notebook() | {"nbformat": "4"},
            notebook() | {"nbformat": True},
            notebook() | {"nbformat_minor": 6},
            notebook() | {"nbformat_minor": -1},
            notebook() | {"nbformat_minor": None},
            notebook() | {"nbformat": 3},
            notebook() | {"cells": None},
            notebook() | {"cells": {}},
            notebook() | {"cells": [1]},
            notebook() | {"metadata": []},
            notebook() | {"worksheets": []},
            notebook(kernelspec={"name": 3, "display_name": "x"}),
            notebook(code(1)),
            notebook(code("", cell_type="plot")),
            notebook(code("", id="not an id!")),
            notebook(code("", id=["x"])),
            notebook(code("", outputs=[{"output_type": "stream"}])),
            notebook(code("", extra=1)),
            notebook(x=float("nan")),
            notebook(x=float("inf")),
            notebook(x=b"bytes"),
            notebook(x=(1, 2)),
            notebook(x={1: 2}),
            notebook(x="\ud800"),
            notebook(**{"\ud800": 1}),
            VERSION_3 | {"worksheets": 3},
            VERSION_3 | {"worksheets": [{"cells": [{"cell_type": "code"}]}]},
        ],
    )
    def test_what_is_no_notebook_is_refused_in_one_line(
        self, converter: NotebookConverter, value: Any
    ) -> None:
        with pytest.raises(InvalidNotebook) as caught:
            converter.read(value)
        assert 0 < len(str(caught.value)) < 400
        assert "\n" not in str(caught.value)

    def test_a_refusal_names_the_cell(self, converter: NotebookConverter) -> None:
        with pytest.raises(InvalidNotebook, match="cell 3"):
            converter.read(notebook("1", "2", code("3", outputs=[{"output_type": "stream"}])))

    def test_deep_nesting_is_refused(self, converter: NotebookConverter) -> None:
        deep: Any = 1
        for _ in range(100_000):
            deep = [deep]
        with pytest.raises(InvalidNotebook):
            converter.read(notebook(x=deep))
        while isinstance(deep, list):  # or its end would be too deep for Python
            deep = deep.pop()

    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
    @given(value=ALMOST | st.fixed_dictionaries({"nbformat": st.sampled_from([3, 4]), "cells": ALMOST}))
    def test_junk_is_refused_and_nothing_else_happens(self, converter: NotebookConverter, value: Any) -> None:
        try:
            read = converter.read(value)
        except InvalidNotebook:
            return
        assert converter.read(read) == read
        assert json.loads(json.dumps(read, allow_nan=False)) == read

    def test_what_is_given_stays_as_it_was(self, converter: NotebookConverter) -> None:
        document = notebook(text("![](attachment:a)", attachments={"a": {"image/png": "aGk="}}), code("1"))
        document["cells"][1]["outputs"] = [shown({"text/html": "<b>x</b><script>y</script>"})]
        del document["cells"][0]["id"]
        before = copy.deepcopy(document)
        read = converter.read(document)
        kept = copy.deepcopy(read)
        for format in ("html", "ipynb", "md", "py"):
            converter.render(read, format=format, title="x")  # type: ignore[arg-type]
        assert (document, read) == (before, kept)

    def test_code_is_one_cell(self, converter: NotebookConverter) -> None:
        made = converter.from_code("import om\n\nprint(1)\n")
        assert [(cell["cell_type"], cell["source"]) for cell in made["cells"]] == [
            ("code", "import om\n\nprint(1)")
        ]
        assert converter.read(made) == made == converter.from_code("import om\r\n\r\nprint(1)\r\n")

    def test_markers_split_code_into_cells(self, converter: NotebookConverter) -> None:
        source = (
            "import om\n\n# %% [markdown]\n# # Title\n#\n# some *text*\n\n"
            '# %% Rates tags=["parameters"]\nrate = 1\n'
            "#%%\n%%time\nx = '''\n # %% no marker\n'''\n# %%time is none\n# %% [raw]\n# as it is\n# %%\n"
        )
        cells = converter.from_code(source)["cells"]
        assert [(cell["cell_type"], cell["source"]) for cell in cells] == [
            ("code", "import om"),
            ("markdown", "# Title\n\nsome *text*"),
            ("code", "rate = 1"),
            ("code", "%%time\nx = '''\n # %% no marker\n'''\n# %%time is none"),
            ("raw", "as it is"),
            ("code", ""),
        ]
        assert cells[2]["metadata"] == {"title": "Rates", "tags": ["parameters"]}

    @pytest.mark.parametrize("source", ["", "   \n", "def f(:", "\ufeffx = 1", "\0"])
    def test_code_is_not_checked(self, converter: NotebookConverter, source: str) -> None:
        made = converter.from_code(source)
        assert converter.read(made) == made
        assert len(made["cells"]) == 1

    @pytest.mark.parametrize("source", [None, 1, b"x = 1", ["x"], "x = '\ud800'"])
    def test_what_is_no_text_is_no_code(self, converter: NotebookConverter, source: Any) -> None:
        with pytest.raises(InvalidNotebook):
            converter.from_code(source)

    @settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(cells=st.lists(CELL, min_size=1, max_size=5))
    def test_python_text_comes_back(self, converter: NotebookConverter, cells: list[dict[str, Any]]) -> None:
        document = converter.read(notebook(*copy.deepcopy(cells)))
        back = converter.from_code(converter.render(document, format="py", title=""))
        assert [(cell["cell_type"], cell["source"], cell["metadata"]) for cell in back["cells"]] == [
            (cell["cell_type"], cell["source"], cell["metadata"]) for cell in cells
        ]

    def test_python_text_is_python(self, converter: NotebookConverter) -> None:
        magic = notebook("%matplotlib inline\nx = 1\n!ls", "%%bash\nls\n", text("It's # text"), "y = 5\n% 3")
        source = converter.render(magic, format="py", title="")
        compile(source, "x", "exec")
        assert "\nx = 1\n# !ls" in source

    def test_ipynb_is_the_notebook(self, converter: NotebookConverter) -> None:
        document = notebook(text("ä"), code("1", outputs=[shown({"image/png": "aGk="})]))
        rendered = converter.render(document, format="ipynb", title="")
        assert json.loads(rendered) == document
        assert rendered == converter.render(document, format="ipynb", title="other")

    def test_markdown_has_text_code_and_pictures(self, converter: NotebookConverter) -> None:
        table = shown({"text/html": "<table><tr><td>42</td></tr></table><script>bad()</script>"})
        svg = shown({"image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg'/>"})
        document = notebook(
            text("# Hi\n![p](attachment:a.png)", attachments={"a.png": {"image/png": "YXR0"}}),
            code("x = 6", outputs=[shown({"image/png": "aGk="}), svg, table]),
        )
        rendered = converter.render(document, format="md", title="")
        for part in ("# Hi", "x = 6", "data:image/png;base64,aGk=", "data:image/png;base64,YXR0", "42"):
            assert part in rendered
        assert "data:image/svg+xml;base64,PHN2" in rendered
        assert "script" not in rendered
        assert "attachment:" not in rendered

    @pytest.mark.parametrize("format", ["html", "md"])
    def test_a_picture_that_is_missing_is_no_error(self, converter: NotebookConverter, format: Any) -> None:
        document = notebook(
            text("before ![a](attachment:a.png) after", attachments={"b": {"image/png": "x"}})
        )
        page = converter.render(document, format=format, title="")
        assert "before" in page
        assert "after" in page

    def test_a_page_has_text_code_pictures_and_title(self, converter: NotebookConverter) -> None:
        frame = shown({"text/html": "<table><thead><tr><th>h</th></tr></thead></table>", "text/plain": "p"})
        error = {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["\x1b[31mE\x1b[0m: v<b>"]}
        document = notebook(
            text("# Hi *there*\n\n| a |\n|---|\n| 7 |\n\n[link](https://example.com)"),
            code("x = 6", outputs=[shown({"image/png": "aGk="}), frame, error]),
        )
        page = converter.render(document, format="html", title="A & <B>")
        assert page.startswith("<!DOCTYPE html>")
        for part in ("<title>A &amp; &lt;B&gt;</title>", "<em>there</em>", "<td>7</td>", "<th>h</th>"):
            assert part in page
        for part in ('src="data:image/png;base64,aGk="', 'href="https://example.com"', "v&lt;b&gt;"):
            assert part in page
        assert page == converter.render(document, format="html", title="A & <B>")

    def test_a_page_shows_no_script_and_fetches_nothing(self, converter: NotebookConverter) -> None:
        remote = (
            "<img src='http://evil/x.png'><link rel=stylesheet href='//evil/x'><b style='color:url(//evil)'>t"
        )
        document = notebook(
            text("![x](http://evil/y.png) [l](javascript:bad()) <script>bad()</script>"),
            code("1", outputs=[shown({"text/html": remote}), shown({"application/javascript": "bad()"})]),
            text(
                "<a href='data:text/html,x'>a</a> <a href='/api'>b</a> <a href='vbscript:x'>c</a> [d](//evil)"
            ),
            text("<script>bad()</script>", kind="raw"),
        )
        page = converter.render(document, format="html", title="x").lower()
        assert "content=\"default-src 'none';" in page
        for part in ("<script", "<link rel=stylesheet", "javascript:", "//evil", "bad()</sc", "<a href"):
            assert part not in page

    @pytest.mark.parametrize("format", ["pdf", "HTML", "", None, "slides"])
    def test_other_formats_are_not_there(self, converter: NotebookConverter, format: Any) -> None:
        with pytest.raises(UnsupportedFormat, match="html, ipynb, md"):
            converter.render(notebook("1"), format=format, title="")

    def test_another_language_is_no_python_text(self, converter: NotebookConverter) -> None:
        document = notebook("x <- 1", language_info={"name": "R"})
        with pytest.raises(UnsupportedFormat, match="R, not Python"):
            converter.render(document, format="py", title="")
        assert "x" in converter.render(document, format="html", title="")

    @pytest.mark.parametrize("format", ["html", "ipynb", "md", "py"])
    @pytest.mark.parametrize(
        "document", [{}, [], None, notebook() | {"nbformat": 3}, notebook(code("", id=None))]
    )
    def test_what_is_no_notebook_is_not_rendered(
        self, converter: NotebookConverter, document: Any, format: Any
    ) -> None:
        with pytest.raises(InvalidNotebook):
            converter.render(document, format=format, title="")
