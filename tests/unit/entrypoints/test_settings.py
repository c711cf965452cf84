import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from omega.domain.errors import BadInput
from omega.entrypoints.limits import Limits
from omega.entrypoints.settings import load


def test_defaults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = load(home=tmp_path, environ={})
    assert settings.store_path == tmp_path / "store"
    assert settings.limits == Limits()


def test_argument_environment_file_default_in_this_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    (home / "omega.toml").write_text('store = "file:///from/home"\nmax_rows = 5\n')
    environ = {"OMEGA_HOME": str(home)}
    assert load(environ=environ).store == "file:///from/home"
    (tmp_path / "omega.toml").write_text('store = "file:///from/here"\nmax_columns = 7\n')
    assert load(environ=environ).store == "file:///from/here"
    assert load(environ=environ).limits == Limits(columns=7)
    environ |= {
        "OMEGA_STORE": "file:///from/environment",
        "OMEGA_MAX_COLUMNS": "8",
        "OMEGA_MAX_MODEL_CACHE_BYTES": "9",
    }
    assert load(environ=environ).store == "file:///from/environment"
    assert load(environ=environ).limits == Limits(columns=8)
    assert load(environ=environ).model_cache_bytes == 9
    assert load(environ=environ | {"OMEGA_MAX_MODEL_CELLS": "11"}).model_cells == 11
    assert load(store="memory://", environ=environ).store_path is None
    served = load(store="mongodb://h:1/d", environ={"OMEGA_HOME": "/home/x"})
    assert served.store_in_mongodb and served.store_path is None
    assert served.queue == "sqlite:///home/x/queue.sqlite"


def test_the_key_file_can_be_named_and_child_processes_find_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load(home=tmp_path, environ={}).signing_key_path == tmp_path / "signing.key"
    assert "OMEGA_SIGNING_KEY_FILE" not in load(home=tmp_path, environ={}).environment()
    Path("omega.toml").write_text('signing_key_file = "from_file"')
    assert load(home=tmp_path, environ={}).signing_key_path == tmp_path / "from_file"
    settings = load(home=tmp_path, environ={"OMEGA_SIGNING_KEY_FILE": "given"})
    assert settings.signing_key_path == tmp_path / "given"
    for environ in (settings.environment(), settings.within_a_task("b")):
        assert load(environ=environ).signing_key_path == tmp_path / "given"


@pytest.mark.parametrize(
    ("environ", "toml", "words"),
    [
        ({}, "signing_key_file = 5", "signing_key_file in omega.toml is 5: it must be a path"),
        ({"OMEGA_STORE": "ftp://x"}, "", "of no known form: give file:///"),
        ({"OMEGA_STORE": "file://host/x"}, "", "of no known form: give file:///"),
        ({"OMEGA_STORE": "relative/dir"}, "", "of no known form: give file:///"),
        ({"OMEGA_MAX_ROWS": "many"}, "", "environment variable OMEGA_MAX_ROWS is 'many'"),
        ({"OMEGA_MAX_ROWS": "0"}, "", "from 1 on"),
        ({}, "max_rows = true", "max_rows in omega.toml is True"),
        ({}, "colour = 1", "unknown settings colour"),
        ({}, "= nonsense", "not valid TOML"),
        ({}, "store = 5", "store in omega.toml is 5"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, monkeypatch, environ, toml, words):
    monkeypatch.chdir(tmp_path)
    Path("omega.toml").write_text(toml)
    with pytest.raises(BadInput) as caught:
        load(home=tmp_path, environ=environ)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "mongodb+srv://u:s3cret@h/d", "mongo://u:s3cret@h/d", "http://u:s3cret@h/d", "file://u:s3cret@h/d",
        "u:s3cret@h/d", "file://u:s3cret@[::1/d", "postgresql://h/d?password=s3cret",
    ],
)  # fmt: skip
def test_a_store_that_cannot_be_used_is_not_quoted_as_a_password_may_be_in_it(tmp_path, url):
    with pytest.raises(BadInput, match="the URL of the store") as caught:
        load(store=url, home=tmp_path, environ={})
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_a_child_process_finds_the_same_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "omega.toml").write_text("max_rows = 5\n")
    settings = load(home=tmp_path / "home with space", environ={})
    for name in ("OMEGA_HOME", "OMEGA_STORE", "OMEGA_MAX_ROWS"):
        monkeypatch.setenv(name, "to be restored")
    settings.export()
    code = (
        "from omega.entrypoints.settings import load; s = load(); print(s.limits.rows, s.home, s.store_path)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.strip() == f"5 {settings.home} {settings.store_path}"


def test_importing_omega_is_light():
    code = (
        "import sys, omega\n"
        "assert not {'pandas', 'numpy', 'pyarrow', 'sklearn', 'attrs'} & set(sys.modules)\n"
        "assert 'datasets' in dir(omega)\n"
        "try: omega.nonsense\n"
        "except AttributeError: pass\n"
        "else: raise AssertionError"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_many_threads_share_one_default_store():
    code = (
        "import threading, omega as om\n"
        "seen = []\n"
        "go = threading.Barrier(8)\n"
        "def use():\n"
        "    go.wait(); seen.append(om.datasets)\n"
        "threads = [threading.Thread(target=use) for _ in range(8)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "assert len(seen) == 8 and len({id(d) for d in seen}) == 1\n"
    )
    environ = {"OMEGA_STORE": "memory://", "OMEGA_HOME": "/nowhere"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environ)


def test_the_errors_of_the_faces_are_named():
    import omega

    for name in omega.__all__:
        if name.endswith(("NotFound", "BadInput", "StoreFull", "StoreUnavailable")):
            assert issubclass(getattr(omega, name), Exception)


def test_the_module_is_a_face(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMEGA_HOME", str(tmp_path))
    code = (
        "import omega as om\n"
        "om.datasets.put([1, 2], 'a'); om['b'].datasets.put([3], 'a')\n"
        "assert om.datasets.get('a') == [1, 2] and om['b'].datasets.get('a') == [3]\n"
        "try: om.datasets.get('none')\n"
        "except om.NotFound as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "there is no dataset 'none' in bucket 'store'\n"


def test_words_and_lists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    toml = 'log_format = "json"\naccess_log = "on"\nallowed_hosts = ["a.example", " 10.0.0.0/8 "]\n'
    Path("omega.toml").write_text(toml)
    found = load(home=tmp_path, environ={})
    assert (found.log_format, found.access_log, found.log_level) == ("json", "on", "warning")
    assert found.allowed_hosts == ("a.example", "10.0.0.0/8") and found.allowed_origins == ()
    environ = {
        "OMEGA_LOG_FORMAT": "text",
        "OMEGA_ALLOWED_HOSTS": "",
        "OMEGA_ALLOWED_ORIGINS": "https://a, https://b,",
    }
    found = load(home=tmp_path, environ=environ)
    assert (found.log_format, found.allowed_hosts) == ("text", ())
    assert found.allowed_origins == ("https://a", "https://b")


@pytest.mark.parametrize(
    ("environ", "toml", "words"),
    [
        ({"OMEGA_LOG_FORMAT": "xml"}, "", r"OMEGA_LOG_FORMAT \(log_format\) is 'xml'"),
        ({"OMEGA_ACCESS_LOG": "1"}, "", "it must be off or on"),
        ({}, "log_level = 5", "it must be debug or info or warning or error"),
        ({}, 'allowed_hosts = "a"', "it must be a list of texts"),
        ({}, "allowed_origins = [1]", "it must be a list of texts"),
    ],
)
def test_words_and_lists_that_cannot_be_read(tmp_path, monkeypatch, environ, toml, words):
    monkeypatch.chdir(tmp_path)
    Path("omega.toml").write_text(toml)
    with pytest.raises(BadInput, match=words):
        load(home=tmp_path, environ=environ)
