"""Archives of a snapshot's files: ``.tar.gz``, ``.tar.xz`` and ``.zip``, read within limits and written.

Nothing is ever unpacked to disk; links, devices, sparse files, encrypted entries, absolute paths and ``..`` are refused, and
sizes are checked before anything is read. Imported only where there is an archive: directories need none of these libraries.
"""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Final, Protocol

from xdsaudit.collect.files import MAX_BYTES, MAX_ENTRIES, Limits
from xdsaudit.errors import InputError

_MAX_HEADER_BYTES: Final = 8 << 10
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


def from_archive(place: Path) -> Iterator[tuple[str, bytes]]:
    """The files of an archive.

    Raises:
        InputError: it is damaged, or not safe to read.
    """
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
    limits = Limits(place)
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
    limits = Limits(place)
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


def to_tar(part: Path, mode: str, files: Mapping[str, bytes]) -> None:
    """Write files to a tar, in this mode of ``tarfile.open``."""
    with tarfile.open(part, mode) as tar:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))


def to_zip(part: Path, files: Mapping[str, bytes]) -> None:
    """Write files to a zip."""
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
