"""A snapshot's files in a directory or archive: read into memory within limits, written to a temporary place and renamed.

Knows names and bytes, not what they mean; ``archive`` knows the formats of archives.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from xdsaudit.errors import InputError

MAX_BYTES: Final = 1 << 30
MAX_FILE_BYTES: Final = 512 << 20
MAX_ENTRIES: Final = 20_000
_TAR: Final = {".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.xz": "w:xz"}


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
        if place.is_dir():
            return dict(_from_directory(place))
        from xdsaudit.collect.archive import from_archive

        return dict(from_archive(place))
    except OSError as error:
        raise InputError(
            f"snapshot {place}: cannot be read: {error.strerror or error}; check the path and its permissions"
        ) from error


class Limits:
    """Counts entries and bytes before they are read."""

    def __init__(self, place: Path) -> None:
        """Nothing has been taken from this place yet."""
        self._place, self._bytes, self._entries = place, 0, 0

    def take(self, name: str, size: int) -> None:
        """Count an entry."""
        self._bytes += max(size, 0)
        self._entries += 1
        if size < 0 or size > MAX_FILE_BYTES:
            raise InputError(f"snapshot {self._place}: {name} is larger than {MAX_FILE_BYTES >> 20} MiB; refused")
        if self._bytes > MAX_BYTES or self._entries > MAX_ENTRIES:
            raise InputError(
                f"snapshot {self._place}: holds more than {MAX_BYTES >> 30} GiB or {MAX_ENTRIES:,} files; refused"
            )

    def inside(self, name: str) -> str:
        """The name of an entry, which must not point outside the archive."""
        pure = PurePosixPath(name)
        if not name or pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name:
            raise InputError(f"snapshot {self._place}: the entry {name!r} points outside the archive; refused")
        return pure.as_posix()


def _from_directory(place: Path) -> Iterator[tuple[str, bytes]]:
    limits = Limits(place)
    for folder, folders, names in os.walk(place):
        folders.sort()
        limits.take(folder, 0)
        for name in sorted(names):
            file = Path(folder, name)
            if file.is_symlink() or not file.is_file():
                continue
            limits.take(name, file.stat().st_size)
            yield file.relative_to(place).as_posix(), file.read_bytes()


# --- writing ---------------------------------------------------------------------------------------------------------
def write_files(place: Path, files: Mapping[str, bytes]) -> int:
    """Write files to a new directory or archive (by its extension), completely or not at all; returns the number of bytes.

    They are written to a hidden place beside it and renamed at the end; leftovers of interrupted runs are removed.

    Raises:
        InputError: the place already exists, or cannot be written.
    """
    from glob import escape

    if place.exists() and not (place.is_dir() and not any(place.iterdir())):
        raise InputError(f"{place}: already exists; name a new directory or archive")
    part = place.with_name(f".{place.name}.part-{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        for old in place.parent.glob(f".{escape(place.name)}.part-*"):
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
        import shutil

        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)


def _writer(place: Path) -> Callable[[Path, Mapping[str, bytes]], None]:
    mode = next((m for ending, m in _TAR.items() if place.name.endswith(ending)), None)
    if mode is None and place.suffix != ".zip":
        return _to_directory
    from xdsaudit.collect.archive import to_tar, to_zip

    return to_zip if mode is None else lambda part, files: to_tar(part, mode, files)


def _to_directory(part: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        target = part / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
