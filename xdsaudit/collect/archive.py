"""A snapshot's files in a directory or archive: read into memory within limits, written to a temporary place and renamed.

Knows names and bytes, not what they mean. Nothing is ever unpacked to disk; links, devices, sparse files, encrypted
entries, absolute paths and ``..`` are refused, and sizes are checked before anything is read.
"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Final, Protocol

from xdsaudit.errors import InputError

MAX_BYTES: Final = 1 << 30
MAX_FILE_BYTES: Final = 512 << 20
MAX_ENTRIES: Final = 20_000
_MAX_HEADER_BYTES: Final = 8 << 10
_TAR: Final = {".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.xz": "w:xz"}
_BROKEN: Final = (
    tarfile.TarError,
    zipfile.BadZipFile,
    lzma.LZMAError,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    KeyError,
    IndexError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
)
"""What Python's archive readers raise for bytes that are not an archive."""


def read_files(place: Path) -> dict[str, bytes]:
    """The files at a place, by relative path.

    Raises:
        InputError: there are none, they are too many or too large, or the archive cannot be read safely.
    """
    try:
        if not place.exists():
            fetch = (
                "; URLs are not supported: download it to a file first"
                if place.parts[:1] in (("http:",), ("https:",))
                else "; check the path"
            )
            raise InputError(f"snapshot {place}: no such file or directory{fetch}")
        return dict(_from_directory(place) if place.is_dir() else _from_archive(place))
    except OSError as error:
        raise InputError(
            f"snapshot {place}: cannot be read: {error.strerror or error}; check the path and its permissions"
        ) from error


class _Limits:
    """Counts entries and bytes before they are read."""

    def __init__(self, place: Path) -> None:
        self._place, self._bytes, self._entries = place, 0, 0

    def take(self, name: str, size: int) -> None:
        self._bytes += max(size, 0)
        self._entries += 1
        if size < 0 or size > MAX_FILE_BYTES:
            raise InputError(f"snapshot {self._place}: {name} is larger than {MAX_FILE_BYTES >> 20} MiB; refused")
        if self._bytes > MAX_BYTES or self._entries > MAX_ENTRIES:
            raise InputError(
                f"snapshot {self._place}: holds more than {MAX_BYTES >> 30} GiB or {MAX_ENTRIES:,} files; refused"
            )

    def inside(self, name: str) -> str:
        pure = PurePosixPath(name)
        if not name or pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name:
            raise InputError(f"snapshot {self._place}: the entry {name!r} points outside the archive; refused")
        return pure.as_posix()


def _from_directory(place: Path) -> Iterator[tuple[str, bytes]]:
    limits = _Limits(place)
    for folder, folders, names in os.walk(place):
        folders.sort()
        limits.take(folder, 0)
        for name in sorted(names):
            file = Path(folder, name)
            if file.is_symlink() or not file.is_file():
                continue
            limits.take(name, file.stat().st_size)
            yield file.relative_to(place).as_posix(), file.read_bytes()


def _from_archive(place: Path) -> Iterator[tuple[str, bytes]]:
    try:
        if zipfile.is_zipfile(place):
            yield from _from_zip(place)
        else:
            with place.open("rb") as raw, _Bounded(_decompressed(raw), place) as stream:
                yield from _from_tar(place, stream)
    except _BROKEN as error:
        raise InputError(
            f"snapshot {place}: not a readable .tar.gz, .tar.xz or .zip ({_first_line(error)}); copy it again, or give a directory"
        ) from error
    except gzip.BadGzipFile as error:
        raise InputError(f"snapshot {place}: damaged ({error}); copy it again") from error


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _decompressed(raw: IO[bytes]) -> _Stream:
    magic = raw.read(6)
    raw.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=raw)
    return lzma.LZMAFile(raw) if magic.startswith(b"\xfd7zXZ") else raw


class _Stream(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...

    def seek(self, offset: int, whence: int = ..., /) -> int: ...

    def tell(self) -> int: ...


class _Bounded(io.RawIOBase):
    """A stream that cannot be read or skipped beyond the limit, whatever a header in it asks for."""

    def __init__(self, inner: _Stream, place: Path) -> None:
        self._inner, self._place = inner, place

    def _check(self, end: int) -> None:
        if end > MAX_BYTES + (MAX_ENTRIES << 10):
            raise InputError(f"snapshot {self._place}: holds more than {MAX_BYTES >> 30} GiB; refused")

    def read(self, size: int = -1) -> bytes:
        """Read at most as much as a snapshot may contain."""
        self._check(self._inner.tell() + size)
        return self._inner.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Seek at most as far as a snapshot may reach."""
        self._check(offset)
        return self._inner.seek(offset, whence)

    def tell(self) -> int:
        """Where the stream is."""
        return self._inner.tell()

    def seekable(self) -> bool:
        """It is."""
        return True

    def readable(self) -> bool:
        """It is."""
        return True


class _Header(tarfile.TarInfo):
    """A header whose extensions have a sane size: a large one takes quadratic time or all memory."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        extensions = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
        if (
            self.type in (*extensions, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
            and self.size > _MAX_HEADER_BYTES
        ):
            raise InputError(f"snapshot archive: an extended header of {self.size} bytes; refused")
        member: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return member


def _from_tar(place: Path, stream: _Bounded) -> Iterator[tuple[str, bytes]]:
    limits = _Limits(place)
    with tarfile.open(fileobj=stream, mode="r:", tarinfo=_Header) as archive:
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined] # do not keep a list of all headers
            name = limits.inside(member.name)
            limits.take(name, member.size)
            if member.isdir():
                continue
            if not member.isreg() or member.issparse():
                raise InputError(f"snapshot {place}: {name} is a link, a device or sparse; such archives are refused")
            handle = archive.extractfile(member)
            data = handle.read() if handle is not None else b""
            if len(data) != member.size:
                raise InputError(f"snapshot {place}: {name} is truncated; copy it again")
            yield name, data


def _from_zip(place: Path) -> Iterator[tuple[str, bytes]]:
    limits = _Limits(place)
    with zipfile.ZipFile(place) as archive:
        for entry in archive.infolist():
            name = limits.inside(entry.filename)
            limits.take(name, entry.file_size)
            if entry.is_dir():
                continue
            if entry.flag_bits & 1:
                raise InputError(f"snapshot {place}: {name} is encrypted; unpack it yourself and give the directory")
            with archive.open(entry) as handle:
                data = handle.read(entry.file_size + 1)
            if len(data) != entry.file_size:
                raise InputError(f"snapshot {place}: {name} does not have the size it claims; copy it again")
            yield name, data


# --- writing ---------------------------------------------------------------------------------------------------------
def write_files(place: Path, files: Mapping[str, bytes]) -> int:
    """Write files to a new directory or archive (by its extension), completely or not at all; returns the number of bytes.

    They are written to a hidden place beside it and renamed at the end; leftovers of interrupted runs are removed.

    Raises:
        InputError: the place already exists, or cannot be written.
    """
    if place.exists() and not (place.is_dir() and not any(place.iterdir())):
        raise InputError(f"{place}: already exists; name a new directory or archive")
    part = place.with_name(f".{place.name}.part-{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        for old in place.parent.glob(f".{glob_escape(place.name)}.part-*"):
            if old == part or not _alive(old.name.rpartition("-")[2]):
                _remove(old)
        _writer(place)(part, files)
        part.replace(place)
    except OSError as error:
        raise InputError(
            f"{place}: cannot be written: {error.strerror or error}; name another place with -O"
        ) from error
    finally:
        _remove(part)
    return sum(map(len, files.values()))


def glob_escape(name: str) -> str:
    """A pattern that matches only this name."""
    import glob

    return glob.escape(name)


def _alive(pid: str) -> bool:
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _remove(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)


def _writer(place: Path) -> Callable[[Path, Mapping[str, bytes]], None]:
    mode = next((m for ending, m in _TAR.items() if place.name.endswith(ending)), None)
    if mode is not None:
        return lambda part, files: _to_tar(part, mode, files)
    return _to_zip if place.suffix == ".zip" else _to_directory


def _to_tar(part: Path, mode: str, files: Mapping[str, bytes]) -> None:
    with tarfile.open(part, mode) as tar:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))


def _to_zip(part: Path, files: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def _to_directory(part: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        target = part / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
