"""Snapshots on disk: what each file means, so that save and load are inverse.

Knows the layout; ``archive`` reads and writes the files, ``redact`` cleans what is written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from xdsaudit.collect.files import read_files, write_files
from xdsaudit.errors import FormatError, InputError
from xdsaudit.model.plain import Plain, as_mappings, as_text
from xdsaudit.model.snapshot import FORMAT, PilotCapture, Snapshot
from xdsaudit.model.view import State, ViewInfo, ViewName

_KNOWN: Final = frozenset({"format", "captured_at", "controller", "views", "story", "files"})


def load(path: str | Path) -> Snapshot:
    """The snapshot at a path: a directory, ``.tar.gz``, ``.tar.xz`` or ``.zip``.

    One that lists its files must contain all of them unchanged; one of an older version lists none and is read as it is.

    Raises:
        InputError: there is none, it is incomplete, or it cannot be read safely.
        FormatError: this version cannot read its format.
    """
    return from_files(read_files(Path(path)), str(path))


def from_files(files: Mapping[str, bytes], source: str) -> Snapshot:
    """A snapshot from its files by relative path; a single enclosing folder is ignored.

    Raises:
        InputError: snapshot.json is missing or unreadable.
        FormatError: it has another format.
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
        raise FormatError(
            f"snapshot {source}: its format is {meta['format']!r}, but this version reads {FORMAT!r}; {step}"
        )
    controller = meta.get("controller") or {}
    if not isinstance(controller, dict) or not all(isinstance(v, _PLAIN) for v in controller.values()):
        raise InputError(
            f"snapshot {source}: snapshot.json: controller is not a mapping of plain values; capture it again"
        )
    for key in ("captured_at", "story"):
        if not isinstance(meta.get(key), (str, type(None))):
            raise InputError(f"snapshot {source}: snapshot.json: {key} is not text; capture it again")
    if "files" in meta:
        files = _listed(meta["files"], files, source)
    return Snapshot(
        captured_at=meta.get("captured_at"),
        controller=controller,
        kube={_stem(n): d for n, d in files.items() if n.startswith("kube/") and n.endswith(".json")},
        core=_core(files),
        pilot=_pilot(files),
        gateway=_gateway(files),
        views=tuple(_infos(meta.get("views") or [], source)),
        story=meta.get("story"),
        manifest={_stem(n): d for n, d in files.items() if n.startswith("manifest/") and n.endswith(".json")},
        extra={k: v for k, v in meta.items() if k not in _KNOWN},
        verified="files" in meta,
    )


_PLAIN: Final = (str, int, bool, float, type(None))


def _listed(entries: Plain, files: Mapping[str, bytes], source: str) -> dict[str, bytes]:
    """The files that snapshot.json lists, each as it was written; others are ignored."""
    kept = {}
    try:
        for entry in as_mappings(entries):
            name, size, digest = as_text(entry["path"]), entry["size"], entry["sha256"]
            data = files.get(name)
            if data is None:
                raise InputError(
                    f"snapshot {source}: is incomplete: {name} is missing; copy it again, or capture it again"
                )
            if len(data) != size or hashlib.sha256(data).hexdigest() != digest:
                raise InputError(
                    f"snapshot {source}: is damaged: {name} has {len(data)} bytes that differ from those written; "
                    "copy it again, or capture it again"
                )
            kept[name] = data
    except (ValueError, KeyError) as error:
        raise InputError(
            f"snapshot {source}: snapshot.json: files is not as expected ({error}); capture it again"
        ) from error
    return kept


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def _core(files: Mapping[str, bytes]) -> dict[str, tuple[bytes, ...]]:
    responses: dict[str, list[bytes]] = {}
    for name in sorted(files):
        parts = name.split("/")
        if parts[0] == "core" and name.endswith(".pb") and len(parts) in (2, 3):
            responses.setdefault(parts[1] if len(parts) == 3 else "", []).append(files[name])
    return {pod: tuple(data) for pod, data in responses.items()}


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
    pages: dict[str, dict[str, bytes]] = {}
    for name in sorted(files):
        parts = name.split("/")
        if parts[0] == "gateway" and len(parts) == 3:
            pages.setdefault(parts[1], {})[parts[2]] = files[name]
    return pages


def _infos(entries: Plain, source: str) -> Iterator[ViewInfo]:
    try:
        for entry in as_mappings(entries):
            values = {key: entry.get(key) for key in ("replica", "why", "read_at", "endpoint", "node_id")}
            texts = {key: None if value is None else as_text(value) for key, value in values.items()}
            yield ViewInfo(ViewName(as_text(entry["name"])), state=State(as_text(entry.get("state", "read"))), **texts)
    except (KeyError, ValueError) as error:
        raise InputError(
            f"snapshot {source}: snapshot.json: views is not as expected ({error}); capture it again"
        ) from error


def to_files(snapshot: Snapshot) -> dict[str, bytes]:
    """The files of a snapshot by relative path: the inverse of ``from_files``."""
    meta: dict[str, Plain] = {
        "format": FORMAT,
        "captured_at": snapshot.captured_at,
        "controller": dict(snapshot.controller),
    }
    if snapshot.views:
        meta["views"] = [v._asdict() for v in snapshot.views]
    if snapshot.story is not None:
        meta["story"] = snapshot.story
    meta |= snapshot.extra
    files: dict[str, bytes] = {f"kube/{plural}.json": data for plural, data in snapshot.kube.items()}
    for pod, responses in snapshot.core.items():
        folder = f"core/{pod}" if pod else "core"
        files |= {f"{folder}/{n:02d}-{_type(d)}.pb": d for n, d in enumerate(responses)}
    for pod, capture in snapshot.pilot.items():
        for line, answers in (("served", capture.served), ("fresh", capture.fresh or ())):
            files |= {f"pilot/{pod}/{line}/{n:02d}-{_type(d)}.pb": d for n, d in enumerate(answers)}
        files |= {f"pilot/{pod}/{name}": data for name, data in capture.pages.items()}
    for pod, pages in snapshot.gateway.items():
        files |= {f"gateway/{pod}/{name}": data for name, data in pages.items()}
    files |= {f"manifest/{plural}.json": data for plural, data in snapshot.manifest.items()}
    meta["files"] = [
        {"path": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
    ]
    return {"snapshot.json": (json.dumps(meta, indent=1) + "\n").encode(), **files}


def _type(data: bytes) -> str:
    """A name for a response's file, for people only."""
    from xdsaudit.xds.session import type_of

    return type_of(data).rpartition("/")[2].rpartition(".")[2] or "response"


def save(snapshot: Snapshot, path: str | Path, *, redacted: bool = True) -> int:
    """Write a snapshot to a new directory or archive (by its extension), completely or not at all.

    Args:
        snapshot: the snapshot.
        path: a directory, or a file that ends in ``.tar.gz``, ``.tgz``, ``.tar.xz`` or ``.zip``; it must not exist.
        redacted: whether to replace credentials by pseudonyms first (``xdsaudit.redact``).

    Returns:
        The number of bytes of its files.

    Raises:
        InputError: the path already exists or cannot be written.
    """
    from xdsaudit.collect.redact import redact

    return write_files(Path(path), to_files(redact(snapshot) if redacted else snapshot))
