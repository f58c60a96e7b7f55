"""Downloads from a local server that breaks off, resumes, sends wrong content and redirects."""

import hashlib
import http.server
import io
import socket
import threading
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fastrnn.data import catalog
from fastrnn.data import download as fetching
from fastrnn.data.catalog import CORPORA, RemoteCorpus, RemoteFile
from fastrnn.data.download import fetch, unpack
from fastrnn.data.text.corpus import read_corpus
from fastrnn.errors import ConfigError, InputError, OutputError

TEXT = b"The sea is calm to-night. " * 8000  # 208 kB: several reads


class Server(http.server.ThreadingHTTPServer):
    """Serves ``files``; ``behave`` may take over an answer. ``asked``: path and Range of every request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.behave: Callable[[Handler, bytes], bool] = lambda handler, content: False
        self.asked: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    """HTTP/1.0 answers with Range, as a static server gives them."""

    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append((self.path, wanted))
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
        elif not self.server.behave(self, content):
            self.give(content, wanted)

    def give(self, content: bytes, wanted: str | None, sent: int | None = None) -> None:
        """Answer with the content from where it is wanted, or only ``sent`` bytes of it before breaking off."""
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:] if sent is None else content[start : start + sent])

    def redirect(self, target: str) -> bool:
        self.send_response(302)
        self.send_header("Location", target)
        self.end_headers()
        return True

    def log_message(self, *_: Any) -> None:
        """Nothing: the tests' output is for the tests."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A mirror with one corpus ``sea`` of one file, and an empty data folder."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.files["/sea/sea.txt"] = TEXT
    monkeypatch.setenv("FASTRNN_MIRROR", server.url)
    monkeypatch.setenv("FASTRNN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("no_proxy", "*")
    offer(monkeypatch, file_of("sea.txt", TEXT))
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def file_of(name: str, content: bytes, **more: Any) -> RemoteFile:
    return RemoteFile(f"https://example.org/{name}", len(content), hashlib.sha256(content).hexdigest(), **more)


def offer(monkeypatch: pytest.MonkeyPatch, *files: RemoteFile, given: tuple[str, ...] = ()) -> None:
    """Let these be the files of ``sea``."""
    monkeypatch.setitem(CORPORA, "sea", RemoteCorpus("the sea", files, given))


def test_corpus_is_downloaded_once_and_then_read_by_name(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^sea: not fetched yet; run fastrnn data fetch sea$"):
        read_corpus(["sea"])
    seen: list[tuple[str, int, int]] = []

    (path,) = fetch("sea", lambda *progress: seen.append(progress))

    assert path == tmp_path / "data" / "sea" / "sea.txt"
    assert path.read_bytes() == TEXT
    assert seen[-1] == ("sea.txt", len(TEXT), len(TEXT))
    assert fetch("sea") == [path]
    assert server.asked == [("/sea/sea.txt", None)]
    assert len(read_corpus(["sea"])) == len(TEXT)
    assert read_corpus(["sea/sea.txt"]).names == (str(path),)
    assert catalog.is_fetched("sea")
    assert [p.name for p in path.parent.iterdir()] == ["sea.txt"]


def test_corpus_name_may_mean_some_of_its_files(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files["/sea/more.txt"] = b"more"
    offer(monkeypatch, file_of("sea.txt", TEXT), file_of("more.txt", b"more"), given=("more.txt",))

    assert len(fetch("sea")) == 2
    assert len(read_corpus(["sea"])) == 4
    assert len(read_corpus(["sea/sea.txt"])) == len(TEXT)


def test_interrupted_transfer_resumes_where_it_stopped(server: Server) -> None:
    def breaking(handler: Handler, content: bytes) -> bool:
        handler.give(content, handler.headers.get("Range"), sent=100_000)
        return True

    server.behave = breaking
    (path,) = fetch("sea")

    assert path.read_bytes() == TEXT
    assert [wanted for _, wanted in server.asked] == [None, "bytes=100000-", "bytes=200000-"]


def test_interrupted_transfer_resumes_in_a_later_command(server: Server, tmp_path: Path) -> None:
    part = tmp_path / "data" / "sea" / "sea.txt.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(TEXT[:1234])
    (path,) = fetch("sea")

    assert path.read_bytes() == TEXT
    assert server.asked == [("/sea/sea.txt", "bytes=1234-")]
    assert not part.exists()


def test_server_without_ranges_sends_the_whole_file_again(server: Server, tmp_path: Path) -> None:
    def whole(handler: Handler, content: bytes) -> bool:
        handler.give(content, None)
        return True

    server.behave = whole
    part = tmp_path / "data" / "sea" / "sea.txt.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"something else")

    assert fetch("sea")[0].read_bytes() == TEXT


def test_oversized_partial_file_is_downloaded_again(server: Server, tmp_path: Path) -> None:
    part = tmp_path / "data" / "sea" / "sea.txt.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(TEXT + b"x")

    assert fetch("sea")[0].read_bytes() == TEXT


def test_stalled_server_is_given_up(server: Server, tmp_path: Path) -> None:
    def nothing(handler: Handler, content: bytes) -> bool:
        handler.give(content, handler.headers.get("Range"), sent=0 if len(server.asked) > 1 else 10)
        return True

    server.behave = nothing
    with pytest.raises(InputError, match=r"sea\.txt: it ends after 10 of 208,000 bytes; try again later$"):
        fetch("sea")
    assert (tmp_path / "data" / "sea" / "sea.txt.part").read_bytes() == TEXT[:10]


def test_unreachable_server_is_an_error_of_one_line(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("FASTRNN_MIRROR", f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(
            InputError, match=r"the connection broke \(.*refused.*\); run the same command again to resume$"
        ):
            fetch("sea")


def test_content_with_a_wrong_checksum_is_deleted(server: Server, tmp_path: Path) -> None:
    server.files["/sea/sea.txt"] = TEXT[:-1] + b"!"

    with pytest.raises(InputError, match=r"^sea\.txt: its SHA-256 is [0-9a-f]{64}, not [0-9a-f]{64}; not kept$"):
        fetch("sea")
    assert not (tmp_path / "data" / "sea").exists()


def test_content_longer_than_declared_is_deleted(server: Server, tmp_path: Path) -> None:
    server.files["/sea/sea.txt"] = TEXT + bytes(1 << 20)

    with pytest.raises(InputError, match=r"sea\.txt: more than the 208,000 bytes expected; not kept$"):
        fetch("sea")
    assert (tmp_path / "data" / "sea" / "sea.txt.part").stat().st_size == 0


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://localhost:1/x", "data:,x", "//localhost:1/x"]
)
def test_redirects_to_other_hosts_are_refused(server: Server, target: str) -> None:
    server.behave = lambda handler, content: handler.redirect(target)

    with pytest.raises(InputError, match=r"sea\.txt: redirects to an address that is not https; refused$"):
        fetch("sea")
    assert len(server.asked) == 1


def test_redirect_within_the_mirror_is_followed(server: Server) -> None:
    server.files["/sea/elsewhere"] = TEXT
    server.behave = lambda handler, content: handler.path == "/sea/sea.txt" and handler.redirect("/sea/elsewhere")

    assert fetch("sea")[0].read_bytes() == TEXT


def test_endless_redirects_are_refused(server: Server) -> None:
    server.behave = lambda handler, content: handler.redirect("/sea/sea.txt")

    with pytest.raises(InputError):
        fetch("sea")
    assert len(server.asked) < 20


def test_missing_file_on_the_server_is_reported(server: Server) -> None:
    server.files.clear()

    with pytest.raises(InputError, match=r"sea\.txt: the server answers 404 Not Found; try again later$"):
        fetch("sea")


def test_invalid_range_restarts_the_next_download(server: Server, tmp_path: Path) -> None:
    def refuse(handler: Handler, content: bytes) -> bool:
        if handler.headers.get("Range"):
            handler.send_error(416)
            return True
        return False

    server.behave = refuse
    part = tmp_path / "data" / "sea" / "sea.txt.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x")
    with pytest.raises(InputError, match="answers 416"):
        fetch("sea")
    assert fetch("sea")[0].read_bytes() == TEXT


def test_range_other_than_requested_is_refused(server: Server, tmp_path: Path) -> None:
    def shifted(handler: Handler, content: bytes) -> bool:
        handler.give(content, "bytes=5-")
        return True

    server.behave = shifted
    part = tmp_path / "data" / "sea" / "sea.txt.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(TEXT[:9])
    with pytest.raises(InputError, match="the server sent another range than requested"):
        fetch("sea")


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def test_one_file_is_extracted_from_an_archive(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = zipped(sea=TEXT, other=b"x")
    server.files["/sea/sea.zip"] = archive
    offer(monkeypatch, file_of("sea.zip", archive, member="sea", unpacked=len(TEXT)))

    assert [p.read_bytes() for p in fetch("sea")] == [TEXT]
    assert [p.name for p in (tmp_path / "data" / "sea").iterdir()] == ["sea"]
    assert len(read_corpus(["sea"])) == len(TEXT)


def lying(content: bytes, size: int) -> bytes:
    """An archive whose directory says that its file has another size."""
    data = bytearray(zipped(sea=content))
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = size.to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped(sea=b"12345", **{"../evil": b"x"}), "'../evil' points outside the archive; it is not unpacked"),
        (zipped(sea=b"12345", **{"/evil": b"x"}), "'/evil' points outside the archive"),
        (zipped(sea=b"12345", **{"a/../../evil": b"x"}), "points outside the archive"),
        (zipped(other=b"12345"), "no 'sea' of 5 bytes in it; it is not unpacked"),
        (zipped(sea=bytes(1 << 20)), "no 'sea' of 5 bytes in it; it is not unpacked"),
        (lying(bytes(1 << 20), 5), "not a zip archive, or a damaged one"),
        (zipped(sea=b"12345")[:40], "not a zip archive, or a damaged one"),
        (b"", "not a zip archive, or a damaged one"),
    ],
    ids=["parent", "root", "inner parent", "other file", "other size", "false size", "cut", "empty"],  # not by the time
)
def test_invalid_archive_is_not_unpacked(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "in").mkdir()
    archive = tmp_path / "in" / "a.zip"
    archive.write_bytes(content)

    with pytest.raises(InputError) as error:
        unpack(archive, "sea", 5, tmp_path / "in" / "sea")
    assert message in str(error.value)
    assert {p.name for p in tmp_path.rglob("*")} == {"in", "a.zip"}


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match="no corpus 'enwick8'; did you mean enwik8"):
        fetch("enwick8")


def test_mirror_must_be_http(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTRNN_MIRROR", "file:///srv")

    with pytest.raises(ConfigError, match="FASTRNN_MIRROR is 'file:///srv'; it must start with http:// or https://"):
        fetch("sea")


def test_unwritable_folder_is_reported(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("FASTRNN_DATA", str(tmp_path / "file"))

    with pytest.raises(OutputError, match="cannot write there: Not a directory"):
        fetch("sea")


def test_only_https_is_used_without_a_mirror() -> None:
    urls = [file.url for corpus in CORPORA.values() for file in corpus.files]

    assert all(url.startswith("https://") for url in urls)
    assert len(urls) == len(set(urls))
    opener = fetching._opener()
    for scheme in ("file", "ftp", "data"):
        with pytest.raises(urllib.request.URLError, match="unknown url type"):
            opener.open(f"{scheme}:///etc/passwd")


def test_every_public_corpus_has_its_checksum_and_its_inputs() -> None:
    assert set(catalog.CORPORA) == {"tinyshakespeare", "names", "text8", "enwik8", "ptb", "mnist"}
    for corpus in catalog.CORPORA.values():
        kept = [file.local_name for file in corpus.files]
        assert set(corpus.default_files) <= set(kept)
        assert len(kept) == len(set(kept))
        assert all(len(bytes.fromhex(file.sha256)) == 32 and file.size > 0 for file in corpus.files)
        assert all(bool(file.member) == bool(file.unpacked) for file in corpus.files)


def test_no_other_module_opens_a_connection() -> None:
    root = Path(fetching.__file__).parents[2]
    words = ("urllib", "socket", "http.client", "ftplib", "smtplib", "requests")
    found = {
        path.name
        for folder in ("fastrnn", "cli")
        for path in (root / folder).rglob("*.py")
        if any(f"import {word}" in path.read_text() or f"from {word}" in path.read_text() for word in words)
    }

    assert found == {"download.py", "signals.py"}  # signals: the two ends of a pair that only meet each other
    assert "socket.socketpair()" in (root / "fastrnn/training/signals.py").read_text()
