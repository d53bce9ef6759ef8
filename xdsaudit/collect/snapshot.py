"""Snapshots on disk: a directory or an archive, loaded into memory and written so that save and load are inverse.

Archives are read in memory and never unpacked to disk; links, absolute paths and ``..`` are refused, and sizes are bounded.
"""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from xdsaudit.errors import FormatError, InputError
from xdsaudit.model.snapshot import FORMAT, PilotCapture, Snapshot
from xdsaudit.model.view import State, ViewInfo, ViewName

MAX_BYTES: Final = 4 << 30
MAX_FILES: Final = 100_000
_KNOWN: Final = frozenset({"format", "captured_at", "controller", "views", "story"})
_TAR: Final = {".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.xz": "w:xz"}


def load(path: str | Path) -> Snapshot:
    """The snapshot at a path: a directory, ``.tar.gz``, ``.tar.xz`` or ``.zip``.

    Raises:
        InputError: there is none, or it cannot be unpacked safely.
        FormatError: its format is not one this version reads.
    """
    place = Path(path)
    if not place.exists():
        raise InputError(f"snapshot {place}: no such file or directory; check the path")
    try:
        files = dict(_read_dir(place) if place.is_dir() else _read_archive(place))
    except OSError as error:
        raise InputError(
            f"snapshot {place}: cannot be read: {error.strerror or error}; check its permissions"
        ) from error
    return from_files(files, str(place))


def _read_dir(place: Path) -> Iterator[tuple[str, bytes]]:
    total = 0
    for file in sorted(place.rglob("*")):
        if file.is_symlink() or not file.is_file():
            continue
        total += file.stat().st_size
        if total > MAX_BYTES:
            raise InputError(
                f"snapshot {place}: holds more than {MAX_BYTES >> 30} GiB; remove what does not belong to it"
            )
        yield file.relative_to(place).as_posix(), file.read_bytes()


def _read_archive(place: Path) -> Iterator[tuple[str, bytes]]:
    try:
        yield from _checked(place, _members(place))
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, ValueError) as error:
        raise InputError(
            f"snapshot {place}: is no readable .tar.gz, .tar.xz or .zip ({error}); give a directory or an archive"
        ) from error
    except Exception as error:
        if type(error).__name__ in ("LZMAError", "BadGzipFile", "error"):
            raise InputError(f"snapshot {place}: is damaged ({error}); copy it again") from error
        raise


def _members(place: Path) -> Iterator[tuple[str, int, bytes]]:
    if zipfile.is_zipfile(place):
        with zipfile.ZipFile(place) as archive:
            for entry in archive.infolist():
                if not entry.is_dir():
                    if entry.file_size > MAX_BYTES:
                        raise InputError(
                            f"snapshot {place}: {entry.filename} unpacks to more than {MAX_BYTES >> 30} GiB; refused"
                        )
                    yield entry.filename, entry.file_size, archive.read(entry)
        return
    with tarfile.open(place, "r:*") as archive:
        for member in archive:
            if member.isdir():
                continue
            if not member.isfile():
                raise InputError(f"snapshot {place}: {member.name} is a link or a device; such archives are refused")
            if member.size > MAX_BYTES:
                raise InputError(f"snapshot {place}: {member.name} unpacks to more than {MAX_BYTES >> 30} GiB; refused")
            handle = archive.extractfile(member)
            yield member.name, member.size, handle.read() if handle else b""


def _checked(place: Path, members: Iterator[tuple[str, int, bytes]]) -> Iterator[tuple[str, bytes]]:
    total = 0
    for number, (name, size, data) in enumerate(members):
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name:
            raise InputError(f"snapshot {place}: the entry {name!r} leads out of the archive; refused")
        total += size
        if total > MAX_BYTES or number >= MAX_FILES:
            raise InputError(
                f"snapshot {place}: unpacks to more than {MAX_BYTES >> 30} GiB or {MAX_FILES} files; refused"
            )
        yield pure.as_posix(), data


def from_files(files: Mapping[str, bytes], source: str) -> Snapshot:
    """A snapshot from its files by relative path; a single folder around them is looked through.

    Raises:
        InputError: snapshot.json is missing or unreadable.
        FormatError: it is of another format.
    """
    if "snapshot.json" not in files:
        roots = {n.partition("/")[0] for n in files}
        if len(roots) == 1 and f"{(root := roots.pop())}/snapshot.json" in files:
            files = {n.partition("/")[2]: d for n, d in files.items() if n.startswith(f"{root}/")}
        else:
            raise InputError(
                f"snapshot {source}: has no snapshot.json; give a directory or archive that xdsaudit capture wrote"
            )
    try:
        meta = json.loads(files["snapshot.json"])
    except (ValueError, RecursionError) as error:
        raise InputError(f"snapshot {source}: snapshot.json is not JSON ({error}); capture it again") from error
    if not isinstance(meta, dict) or not isinstance(meta.get("format"), str):
        raise FormatError(f"snapshot {source}: snapshot.json names no format; expected {FORMAT!r}")
    if meta["format"] != FORMAT:
        newer = meta["format"].startswith("xdsaudit.snapshot/")
        step = "upgrade xdsaudit to read it" if newer else "give a snapshot that xdsaudit capture wrote"
        raise FormatError(f"snapshot {source}: its format is {meta['format']!r}, this version reads {FORMAT!r}; {step}")
    controller = meta.get("controller") or {}
    if not isinstance(controller, dict):
        raise InputError(f"snapshot {source}: snapshot.json: controller is no object; capture it again")
    return Snapshot(
        captured_at=meta.get("captured_at"),
        controller=controller,
        kube={_stem(n): d for n, d in files.items() if n.startswith("kube/") and n.endswith(".json")},
        core=_core(files),
        pilot=_pilot(files),
        gateway=_gateway(files),
        views=tuple(_infos(meta.get("views") or [], source)),
        story=meta.get("story"),
        extra={k: v for k, v in meta.items() if k not in _KNOWN},
    )


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def _core(files: Mapping[str, bytes]) -> dict[str, tuple[bytes, ...]]:
    found: dict[str, list[bytes]] = {}
    for name in sorted(files):
        parts = name.split("/")
        if parts[0] == "core" and name.endswith(".pb") and len(parts) in (2, 3):
            found.setdefault(parts[1] if len(parts) == 3 else "", []).append(files[name])
    return {pod: tuple(data) for pod, data in found.items()}


def _pilot(files: Mapping[str, bytes]) -> dict[str, PilotCapture]:
    served: dict[str, dict[str, list[bytes]]] = {}
    pages: dict[str, dict[str, bytes]] = {}
    for name in sorted(files):
        parts = name.split("/")
        if parts[0] != "pilot" or len(parts) < 3:
            continue
        if len(parts) == 4 and parts[2] in ("served", "fresh") and name.endswith(".pb"):
            served.setdefault(parts[1], {}).setdefault(parts[2], []).append(files[name])
        elif len(parts) == 3:
            pages.setdefault(parts[1], {})[parts[2]] = files[name]
    return {
        pod: PilotCapture(
            tuple(served.get(pod, {}).get("served", ())),
            tuple(served[pod]["fresh"]) if "fresh" in served.get(pod, {}) else None,
            pages.get(pod, {}),
        )
        for pod in sorted({*served, *pages})
    }


def _gateway(files: Mapping[str, bytes]) -> dict[str, dict[str, bytes]]:
    found: dict[str, dict[str, bytes]] = {}
    for name in sorted(files):
        parts = name.split("/")
        if parts[0] == "gateway" and len(parts) == 3:
            found.setdefault(parts[1], {})[parts[2]] = files[name]
    return found


def _infos(listed: Any, source: str) -> Iterator[ViewInfo]:
    try:
        for each in listed:
            yield ViewInfo(
                ViewName(each["name"]),
                each.get("replica"),
                State(each.get("state", "read")),
                *(each.get(k) for k in ("why", "read_at", "endpoint", "node_id")),
            )
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise InputError(
            f"snapshot {source}: snapshot.json: views is not as expected ({error}); capture it again"
        ) from error


def to_files(snapshot: Snapshot) -> dict[str, bytes]:
    """The files of a snapshot by relative path: the inverse of ``from_files``."""
    meta: dict[str, Any] = {
        "format": FORMAT,
        "captured_at": snapshot.captured_at,
        "controller": dict(snapshot.controller),
    }
    if snapshot.views:
        meta["views"] = [v._asdict() for v in snapshot.views]
    if snapshot.story is not None:
        meta["story"] = snapshot.story
    meta |= snapshot.extra
    files = {"snapshot.json": (json.dumps(meta, indent=1, ensure_ascii=False) + "\n").encode()}
    files |= {f"kube/{plural}.json": data for plural, data in snapshot.kube.items()}
    for pod, responses in snapshot.core.items():
        folder = f"core/{pod}" if pod else "core"
        files |= {f"{folder}/{n:02d}-{_type(d)}.pb": d for n, d in enumerate(responses)}
    for pod, capture in snapshot.pilot.items():
        for line, answers in (("served", capture.served), ("fresh", capture.fresh or ())):
            files |= {f"pilot/{pod}/{line}/{n:02d}-{_type(d)}.pb": d for n, d in enumerate(answers)}
        files |= {f"pilot/{pod}/{name}": data for name, data in capture.pages.items()}
    for pod, pages in snapshot.gateway.items():
        files |= {f"gateway/{pod}/{name}": data for name, data in pages.items()}
    return files


def _type(data: bytes) -> str:
    """A name for a response's file; only people read it."""
    from xdsaudit.xds.session import type_of

    return type_of(data).rpartition("/")[2].rpartition(".")[2] or "response"


def save(snapshot: Snapshot, path: str | Path) -> int:
    """Write a snapshot to a new directory or archive (by its ending); returns the number of bytes of its files.

    Raises:
        InputError: the path exists already or cannot be written.
    """
    place = Path(path)
    files = to_files(snapshot)
    if place.exists() and not (place.is_dir() and not any(place.iterdir())):
        raise InputError(f"{place}: exists already; name a new directory or archive")
    try:
        mode = next((m for ending, m in _TAR.items() if place.name.endswith(ending)), None)
        if mode is not None:
            with tarfile.open(place, mode) as tar:  # type: ignore[call-overload]
                for name, data in files.items():
                    info = tarfile.TarInfo(name)
                    info.size, info.mode = len(data), 0o644
                    tar.addfile(info, io.BytesIO(data))
        elif place.suffix == ".zip":
            with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, data in files.items():
                    archive.writestr(name, data)
        else:
            for name, data in files.items():
                target = place / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
    except OSError as error:
        raise InputError(
            f"{place}: cannot be written: {error.strerror or error}; name another place with -O"
        ) from error
    return sum(map(len, files.values()))
