"""Download of public corpora to the user's data folder. No other module opens a network connection.

Only https is used, and http for the mirror in ``FASTRNN_MIRROR``. A file is downloaded as ``NAME.part``, resumed after
an interruption (HTTP Range, RFC 9110 section 14), and renamed once its size and SHA-256 are verified.
"""

import contextlib
import hashlib
import http.client
import os
import struct
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ..errors import ConfigError, InputError, OutputError, nearest
from ..os_compat import replace_file, user_data_folder
from .catalog import CORPORA, NO_HOME, RemoteFile
from .text.sources import CHUNK


def data_folder() -> Path:
    """Return the folder of fetched corpora. Raises `OutputError` for a user without a home directory."""
    folder = user_data_folder()
    if folder is None:
        raise OutputError(NO_HOME)
    return folder


DownloadProgress = Callable[[str, int, int], None]

_TIMEOUT = 30.0  # seconds without a byte
_TRIES = 4  # consecutive attempts without progress


def check_corpus_name(name: str) -> None:
    """Raise `ConfigError` if there is no such corpus."""
    if name not in CORPORA:
        raise ConfigError(f"no corpus {name!r}{nearest(name, CORPORA)} (there are {', '.join(CORPORA)})")


def fetch(name: str, progress: DownloadProgress = lambda file, done, size: None) -> list[Path]:
    """Download the files of a corpus in `CORPORA` to the data folder, except those already there.

    Args:
        name: Name of the corpus.
        progress: Called with the file name, the bytes received so far and the size.

    Raises:
        ConfigError: If the name is unknown.
        InputError: If a file cannot be downloaded or has a wrong size or checksum.
        OutputError: If the data folder cannot be written.
    """
    check_corpus_name(name)
    folder = data_folder() / name
    # An invalid mirror is an error before the folder is created.
    _mirror()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return [_fetch_file(name, file, folder, progress) for file in CORPORA[name].files]
        finally:
            # Succeeds only if the folder is empty: a failed download leaves nothing behind.
            with contextlib.suppress(OSError):
                folder.rmdir()
    except OSError as error:
        where, why = error.filename or folder, error.strerror or error
        raise OutputError(f"{where}: cannot write there: {why}; set FASTRNN_DATA to another folder") from None


def _fetch_file(corpus: str, file: RemoteFile, folder: Path, progress: DownloadProgress) -> Path:
    kept, fetched = folder / file.local_name, folder / file.download_name
    # Files were verified before they got their final name: comparing sizes is enough, and instant.
    if _size(kept) == (file.unpacked or file.size):
        return kept
    if _size(fetched) != file.size:
        part = folder / (file.download_name + ".part")
        _download(_address(corpus, file), part, file, progress)
        _check_digest(part, file)
        # Only verified files get this name, so an interrupted download is never read as a corpus.
        replace_file(part, fetched)
    if file.member:
        unpack(fetched, file.member, file.unpacked, kept)
        fetched.unlink()
    return kept


def _address(corpus: str, file: RemoteFile) -> str:
    mirror = _mirror()
    return f"{mirror}{corpus}/{file.download_name}" if mirror else file.url


def _mirror() -> str:
    """Return the address in ``FASTRNN_MIRROR`` with a slash at its end, or an empty string."""
    mirror = os.environ.get("FASTRNN_MIRROR", "")
    if mirror and not mirror.startswith(("http://", "https://")):
        raise ConfigError(f"FASTRNN_MIRROR is {mirror!r}; it must start with http:// or https://")
    return mirror.rstrip("/") + "/" if mirror else ""


def _download(url: str, part: Path, file: RemoteFile, progress: DownloadProgress) -> None:
    """Download a file to ``part``, resuming until it is complete."""
    tries = 0
    while (done := _size(part)) != file.size:
        # Longer than the whole file: left by another version of it.
        if done > file.size:
            part.unlink()
            continue
        try:
            _receive(url, part, done, file, progress)
        except (http.client.HTTPException, TimeoutError, ConnectionError, urllib.error.URLError) as error:
            if isinstance(error, urllib.error.HTTPError):
                # 416, range not satisfiable: the file on the server has changed.
                if error.code == 416:
                    part.unlink()
                raise _http_error(url, error) from None
            reason = getattr(error, "reason", None) or error
            # Only attempts without a single new byte count: a slow, unstable connection may go through in the end.
            tries = 0 if _size(part) > done else tries + 1
            if tries >= _TRIES:
                raise InputError(
                    f"{url}: the connection broke ({reason}); run the same command again to resume"
                ) from None
        else:
            tries = 0 if _size(part) > done else tries + 1
            if tries >= _TRIES:
                raise InputError(f"{url}: it ends after {_size(part):,} of {file.size:,} bytes; try again later")


def _receive(url: str, part: Path, done: int, file: RemoteFile, progress: DownloadProgress) -> None:
    """Append the data of one connection to ``part``."""
    # "identity": a server that compressed the transfer would make sizes and ranges meaningless.
    headers = {"User-Agent": "fastrnn", "Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
    with _opener().open(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT) as response:
        # A server without support for ranges answers 200 and sends the whole file again.
        is_partial = response.status == 206
        if is_partial and not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
            raise InputError(f"{url}: the server sent another range than requested; try again later")
        with open(part, "ab" if is_partial else "wb") as out:
            done = done if is_partial else 0
            while chunk := _read_available(response):
                done += len(chunk)
                if done > file.size:
                    out.truncate(0)
                    raise InputError(f"{url}: more than the {file.size:,} bytes expected; not kept")
                out.write(chunk)
                progress(file.download_name, done, file.size)


def _read_available(response: IO[bytes]) -> bytes:
    """Read the available data; if the connection breaks, the data received before."""
    try:
        return response.read(CHUNK >> 4)
    except http.client.IncompleteRead as error:
        return error.partial


def _check_digest(part: Path, file: RemoteFile) -> None:
    with open(part, "rb") as kept:
        found = hashlib.file_digest(kept, "sha256").hexdigest()
    if found != file.sha256:
        part.unlink()
        raise InputError(f"{file.download_name}: its SHA-256 is {found}, not {file.sha256}; not kept")


def unpack(archive: Path, member: str, size: int, target: Path) -> None:
    """Extract a member of exactly ``size`` bytes from a zip archive.

    Raises `InputError` if the archive is damaged, lacks this member, or has names that lead out of its folder.
    """
    part = target.with_name(target.name + ".part")
    try:
        with zipfile.ZipFile(archive) as opened:
            for name in opened.namelist():
                # Only one member is extracted, under a name of ours; but an archive with such names is not the one
                # expected.
                if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name:
                    raise InputError(f"{archive}: {name!r} points outside the archive; it is not unpacked")
            if member not in opened.namelist() or opened.getinfo(member).file_size != size:
                raise InputError(f"{archive}: no {member!r} of {size:,} bytes in it; it is not unpacked")
            with opened.open(member) as source, open(part, "wb") as out:
                _copy(source, out, size, archive)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, RuntimeError) as error:
        part.unlink(missing_ok=True)
        raise InputError(f"{archive}: not a zip archive, or a damaged one ({error}); fetch it again") from None
    replace_file(part, target)


def _copy(source: IO[bytes], out: IO[bytes], size: int, archive: Path) -> None:
    done = 0
    # Counted while it is unpacked: the size in the directory may be a lie, and the data far larger.
    while chunk := source.read(CHUNK):
        done += len(chunk)
        if done > size:
            raise zipfile.BadZipFile(f"{archive.name} unpacks to more bytes than its directory states")
        out.write(chunk)
    if done != size:
        raise zipfile.BadZipFile(f"{archive.name} unpacks to fewer bytes than its directory states")


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _http_error(url: str, error: urllib.error.HTTPError) -> InputError:
    """Return the error for an HTTP status that is not a success."""
    if 300 <= error.code < 400:
        return InputError(f"{url}: redirects to an address that is not https; refused")
    return InputError(f"{url}: the server answers {error.code} {error.reason}; try again later")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https and within the mirror; raises any other redirect as an `HTTPError`."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        mirror = _mirror()
        if not newurl.startswith("https://") and not (mirror and newurl.startswith(mirror)):
            raise urllib.error.HTTPError(req.full_url, code, "redirected", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener for http and https only, without file, ftp and data URLs."""
    opener = urllib.request.OpenerDirector()
    # `build_opener` would add those of file, ftp and data.
    handlers = (
        urllib.request.ProxyHandler, urllib.request.HTTPHandler, urllib.request.HTTPSHandler, _Redirects,
        urllib.request.HTTPDefaultErrorHandler, urllib.request.HTTPErrorProcessor, urllib.request.UnknownHandler,
    )  # fmt: skip
    for handler in handlers:
        opener.add_handler(handler())
    return opener
