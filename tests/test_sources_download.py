import contextlib
import gzip
import hashlib
import io
import os
import re
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest
from requests.exceptions import InvalidURL

from blurgen.errors import SourceError
from blurgen.sources import download, idx, open_source

CONTENT = np.random.default_rng(1).bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """A mirror on this machine. `files` are its files, `manner` how it sends them."""

    def __init__(self):
        self.files = {}
        self.manner = {}
        self.leads = {}
        self.over = threading.Event()
        self.requests = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append((self.path, self.headers.get("Range")))
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    def url(self, folder):
        return f"http://127.0.0.1:{self.http.server_port}/{folder}/"

    def answer(self, handler):
        content = self.files.get(handler.path)
        manner = self.manner.get(handler.path, "")
        if handler.path in self.leads:
            handler.send_response(302)
            handler.send_header("Location", self.leads[handler.path])
            handler.end_headers()
            return
        if content is None:
            handler.send_error(404)
            return
        start = 0
        wanted = handler.headers.get("Range")
        if wanted and manner != "no ranges":
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if start >= len(content):
                handler.send_error(416)
                return
            handler.send_response(206)
        else:
            handler.send_response(200)
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        stop = len(content) // 2 if manner in ("breaks off", "stalls", "drips") else len(content)
        handler.wfile.write(content[start:stop])
        if manner == "stalls":
            self.over.wait(30)
        while manner == "drips" and not self.over.wait(0.02):
            handler.wfile.write(b"x")

    def close(self):
        self.over.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("BLURGEN_DATA", raising=False)
    monkeypatch.setattr(download, "cache_dir", lambda: tmp_path / "cache")
    with contextlib.closing(Server()) as server:
        yield server


@pytest.fixture
def mirrors(server, monkeypatch):
    """Set the mirrors of the data set `x`, by their folders on the server."""
    return lambda *folders: monkeypatch.setattr(download, "MIRRORS", {"x": tuple(map(server.url, folders))})


def cached(tmp_path):
    return sorted(path.name for path in (tmp_path / "cache/x").iterdir() if path.suffix != ".lock")


def test_published_mirrors_are_https():
    assert set(download.MIRRORS) == set(idx.DATASETS)
    for mirror in sum(download.MIRRORS.values(), ()):
        assert mirror.startswith("https://")
        assert mirror.endswith("/")


def test_good_mirror(server, mirrors, tmp_path):
    mirrors("a")
    server.files["/a/f.gz"] = CONTENT
    path = download.fetch("x", "f.gz", SHA256)
    assert path.read_bytes() == CONTENT
    assert cached(tmp_path) == ["f.gz"]
    assert download.fetch("x", "f.gz", SHA256) == path
    assert server.requests == [("/a/f.gz", None)]


def test_next_mirror_after_404(server, mirrors):
    mirrors("a", "b")
    server.files["/b/f.gz"] = CONTENT
    assert download.fetch("x", "f.gz", SHA256).read_bytes() == CONTENT
    assert [path for path, _ in server.requests] == ["/a/f.gz", "/b/f.gz"]


def test_broken_off_is_resumed_elsewhere(server, mirrors, tmp_path):
    mirrors("a", "b")
    server.files |= {"/a/f.gz": CONTENT, "/b/f.gz": CONTENT}
    server.manner["/a/f.gz"] = "breaks off"
    assert download.fetch("x", "f.gz", SHA256).read_bytes() == CONTENT
    assert server.requests[0] == ("/a/f.gz", None)
    path, wanted = server.requests[1]
    assert path == "/b/f.gz"
    assert 0 < int(wanted.removeprefix("bytes=").removesuffix("-")) <= len(CONTENT) // 2
    assert cached(tmp_path) == ["f.gz"]


@pytest.mark.parametrize(
    ("manner", "limits"), [("stalls", {"_TIMEOUT": 0.3}), ("drips", {"_WINDOW": 0.3, "_CHUNK": 200_000})]
)
def test_a_mirror_that_keeps_one_waiting_is_left(server, mirrors, tmp_path, monkeypatch, manner, limits):
    for name, value in limits.items():
        monkeypatch.setattr(download, name, value)
    server.files |= {"/a/f.gz": CONTENT, "/b/f.gz": CONTENT}
    server.manner["/a/f.gz"] = manner
    mirrors("a")
    reason = "broke off after 150000 bytes" if manner == "stalls" else r"too slow: \d+ bytes in 0.3 s"
    with pytest.raises(SourceError, match=rf"f\.gz cannot be downloaded \(127.*: {reason}\)"):
        download.fetch("x", "f.gz", SHA256)
    assert cached(tmp_path) == ["f.gz.part"]
    mirrors("a", "b")
    assert download.fetch("x", "f.gz", SHA256).read_bytes() == CONTENT
    assert cached(tmp_path) == ["f.gz"]


def test_a_mirror_that_never_answers_is_left(server, mirrors, monkeypatch):
    monkeypatch.setattr(download, "_TIMEOUT", 0.3)
    monkeypatch.setattr(server, "answer", lambda handler: server.over.wait(30))
    mirrors("a")
    with pytest.raises(SourceError, match="no answer in time"):
        download.fetch("x", "f.gz", SHA256)


def test_a_mirror_that_sends_without_end_is_left(server, mirrors, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_MOST_BYTES", 100_000)
    mirrors("a")
    server.files["/a/f.gz"] = CONTENT
    with pytest.raises(SourceError, match="sent more than 100000 bytes"):
        download.fetch("x", "f.gz", SHA256)
    assert (tmp_path / "cache/x/f.gz.part").stat().st_size < 100_000 + 2 * download._CHUNK


@pytest.mark.parametrize(
    "there",
    ["http://example.invalid/f.gz", "ftp://127.0.0.1/f.gz", "file:///etc/hostname", "http://[::2]/f.gz"],
)
def test_mirrors_lead_to_https_alone(server, mirrors, tmp_path, there):
    mirrors("a", "b")
    server.leads["/a/f.gz"] = there
    server.files["/b/f.gz"] = CONTENT
    assert download.fetch("x", "f.gz", SHA256).read_bytes() == CONTENT
    assert cached(tmp_path) == ["f.gz"]
    (tmp_path / "cache/x/f.gz").unlink()
    mirrors("a")
    with pytest.raises(SourceError, match=r"leads to (http|ftp|file)://.*, not to https"):
        download.fetch("x", "f.gz", SHA256)


def test_https_leads_to_no_address_of_ones_own():
    for asked, there, allowed in [
        ("https://example.org/f", "http://127.0.0.1/f", False),
        ("https://example.org/f", "http://localhost:8000/f", False),
        ("https://example.org/f", "http://example.org/f", False),
        ("https://example.org/f", "https://example.net/f", True),
        ("https://example.org/f", "/other", True),
        ("http://127.0.0.1:9/f", "/other", True),
    ]:
        response = SimpleNamespace(is_redirect=True, url=asked, headers={"location": there})
        if allowed:
            download._check_redirect(asked, response)
        else:
            with pytest.raises(InvalidURL, match="not to https"):
                download._check_redirect(asked, response)


def test_redirects_within_the_machine(server, mirrors):
    mirrors("a")
    server.leads["/a/f.gz"] = server.url("b") + "f.gz"
    server.files["/b/f.gz"] = CONTENT
    assert download.fetch("x", "f.gz", SHA256).read_bytes() == CONTENT


def test_mirrors_that_lead_in_circles(server, mirrors):
    mirrors("a")
    server.leads["/a/f.gz"] = "/a/f.gz"
    with pytest.raises(SourceError, match="Exceeded 30 redirects"):
        download.fetch("x", "f.gz", SHA256)


def test_broken_off_everywhere(server, mirrors, tmp_path):
    mirrors("a")
    server.files["/a/f.gz"] = CONTENT
    server.manner["/a/f.gz"] = "breaks off"
    with pytest.raises(SourceError, match=r"f.gz cannot be downloaded \(127.*: broke off after \d+ bytes\)"):
        download.fetch("x", "f.gz", SHA256)
    # What came lies under another name, and the next call goes on from there.
    assert cached(tmp_path) == ["f.gz.part"]
    kept = (tmp_path / "cache/x/f.gz.part").stat().st_size
    assert kept > 0
    server.manner.clear()
    assert download.fetch("x", "f.gz", SHA256).read_bytes() == CONTENT
    assert server.requests[-1] == ("/a/f.gz", f"bytes={kept}-")


@pytest.mark.parametrize("part", [CONTENT[:1000], b"stale" * 10, CONTENT + b"too long", CONTENT, b""])
@pytest.mark.parametrize("manner", ["", "no ranges"])
def test_any_partial_file_ends_well(server, mirrors, tmp_path, part, manner):
    mirrors("a")
    server.files["/a/f.gz"] = CONTENT
    server.manner["/a/f.gz"] = manner
    (tmp_path / "cache/x").mkdir(parents=True)
    (tmp_path / "cache/x/f.gz.part").write_bytes(part)
    assert download.fetch("x", "f.gz", SHA256).read_bytes() == CONTENT
    assert cached(tmp_path) == ["f.gz"]


def test_mirror_without_ranges_is_asked_once(server, mirrors, tmp_path):
    mirrors("a")
    server.files["/a/f.gz"] = CONTENT
    server.manner["/a/f.gz"] = "no ranges"
    (tmp_path / "cache/x").mkdir(parents=True)
    (tmp_path / "cache/x/f.gz.part").write_bytes(CONTENT[:1000])
    download.fetch("x", "f.gz", SHA256)
    assert server.requests == [("/a/f.gz", "bytes=1000-")]


def test_wrong_content_is_not_kept(server, mirrors, tmp_path):
    mirrors("a", "b")
    server.files |= {"/a/f.gz": b"<html>blocked</html>", "/b/f.gz": CONTENT}
    assert download.fetch("x", "f.gz", SHA256).read_bytes() == CONTENT
    mirrors("a")
    (tmp_path / "cache/x/f.gz").unlink()
    with pytest.raises(SourceError, match=r"127\.0\.0\.1:\d+: other content than published"):
        download.fetch("x", "f.gz", SHA256)
    assert cached(tmp_path) == []


def test_spoilt_cache_is_fetched_again(server, mirrors, tmp_path):
    mirrors("a")
    server.files["/a/f.gz"] = CONTENT
    download.fetch("x", "f.gz", SHA256).write_bytes(b"spoilt")
    assert download.fetch("x", "f.gz", SHA256).read_bytes() == CONTENT


def test_nobody_answers(server, mirrors):
    mirrors("a", "b")
    server.close()
    with pytest.raises(SourceError, match=r"\(127.*: no connection; 127.*: no connection\)"):
        download.fetch("x", "f.gz", SHA256)
    server.close = lambda: None


def test_cache_that_cannot_be_written(server, mirrors, tmp_path):
    mirrors("a")
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(SourceError, match=r"the cache folder .*cache/x cannot be used: Not a directory"):
        download.fetch("x", "f.gz", SHA256)


def test_whole_cache_needs_no_lock(server, mirrors, monkeypatch):
    mirrors("a")
    server.files["/a/f.gz"] = CONTENT
    path = download.fetch("x", "f.gz", SHA256)

    def read_only(*_):
        raise OSError("read-only")

    monkeypatch.setattr(download, "_cache_folder", read_only)
    assert download.fetch("x", "f.gz", SHA256) == path


def test_two_processes_download_once(server, tmp_path):
    server.files["/a/f.gz"] = CONTENT
    code = f"""
from pathlib import Path
from blurgen.sources import download
download.cache_dir = lambda: Path({str(tmp_path / "cache")!r})
download.MIRRORS = {{"x": ({server.url("a")!r},)}}
download.fetch("x", "f.gz", {SHA256!r})
"""
    running = [subprocess.Popen([sys.executable, "-c", code], env=os.environ) for _ in range(3)]
    assert [each.wait() for each in running] == [0, 0, 0]
    assert len(server.requests) == 1
    assert cached(tmp_path) == ["f.gz"]


def test_progress_is_shown_on_a_terminal(server, mirrors, monkeypatch, capsys):
    mirrors("a")
    server.files["/a/f.gz"] = CONTENT
    download.fetch("x", "f.gz", SHA256).unlink()
    assert capsys.readouterr().err == ""
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "120"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    download.fetch("x", "f.gz", SHA256)
    shown = capsys.readouterr().err
    assert "f.gz" in shown
    assert "300.0/300.0 kB" in shown


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"gzip/{name}", content)
    return buffer.getvalue()


def test_archive_is_unpacked_once(server, mirrors, tmp_path):
    mirrors("a")
    archive = zipped(one=b"1" * 1000, two=b"2", more=b"3")
    server.files["/a/gzip.zip"] = archive
    sha256 = hashlib.sha256(archive).hexdigest()
    members = ("gzip/one", "gzip/two")
    assert download.fetch_member("x", "gzip.zip", sha256, members, "gzip/two").read_bytes() == b"2"
    assert download.fetch_member("x", "gzip.zip", sha256, members, "gzip/one").read_bytes() == b"1" * 1000
    assert cached(tmp_path) == ["one", "two"]
    assert len(server.requests) == 1


def test_archive_without_the_member(server, mirrors):
    mirrors("a")
    server.files["/a/gzip.zip"] = archive = zipped(one=b"1")
    with pytest.raises(SourceError, match=r"gzip\.zip cannot be unpacked: .*no item named 'gzip/two'"):
        download.fetch_member("x", "gzip.zip", hashlib.sha256(archive).hexdigest(), ("gzip/two",), "gzip/two")


@pytest.mark.parametrize("name", ["../../outside", "/tmp/outside", "gzip/../../outside"])
def test_archives_write_nothing_outside(server, mirrors, tmp_path, name):
    mirrors("a")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, b"harm")
        link = zipfile.ZipInfo("gzip/one")
        link.external_attr = 0o120777 << 16  # a symbolic link
        archive.writestr(link, "/etc/hostname")
    server.files["/a/gzip.zip"] = content = buffer.getvalue()
    before = {path for path in tmp_path.rglob("*") if "cache" not in path.parts}
    sha256 = hashlib.sha256(content).hexdigest()
    path = download.fetch_member("x", "gzip.zip", sha256, (name, "gzip/one"), "gzip/one")
    assert not path.is_symlink()
    assert path.read_bytes() == b"/etc/hostname"
    assert cached(tmp_path) == ["one", "outside"]
    assert {path for path in tmp_path.rglob("*") if "cache" not in path.parts} == before


# From the name of a data set to its images


@pytest.fixture
def published(server, monkeypatch):
    """A data set of five images, published on the server."""
    images = np.random.default_rng(2).integers(0, 256, (5, 28, 28), np.uint8)
    labels = np.arange(5, dtype=np.uint8)
    parts = []
    for real, array in zip(idx.DATASETS["kmnist"].splits["train"], (images, labels), strict=True):
        header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
        packed = gzip.compress(header + array.tobytes())
        server.files[f"/kmnist/{real.stem}.gz"] = packed
        parts.append(replace(real, shape=array.shape, sha256=hashlib.sha256(packed).hexdigest()))
    dataset = replace(idx.DATASETS["kmnist"], splits={"train": tuple(parts)})
    monkeypatch.setitem(idx.DATASETS, "kmnist", dataset)
    monkeypatch.setitem(download.MIRRORS, "kmnist", (server.url("nothing"), server.url("kmnist")))
    return images


def test_dataset_is_downloaded_once(server, published):
    for _ in range(2):
        source = open_source("kmnist")
        np.testing.assert_array_equal(source.read(0, 5)[..., 0], published)
        np.testing.assert_array_equal(source.labels(0, 5), range(5))
    assert len(server.requests) == 4  # two files, each first asked of the mirror that lacks it


def test_dataset_absent_from_data_dir_is_downloaded(published, tmp_path):
    (tmp_path / "data").mkdir()
    assert open_source("kmnist", data_dir=tmp_path / "data").length == 5


def test_offline_says_what_to_do(server, published, tmp_path):
    server.files.clear()
    (tmp_path / "data").mkdir()
    with pytest.raises(SourceError) as caught:
        open_source("kmnist", data_dir=tmp_path / "data")
    message = str(caught.value)
    assert f"train-images-idx3-ubyte.gz is not in {tmp_path / 'data'}" in message
    assert message.count("HTTP status 404") == 2
    assert "put train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz into a folder" in message
    assert "BLURGEN_DATA" in message
    assert "\n" not in message
