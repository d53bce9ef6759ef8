"""Manifests (YAML or JSON, files, directories, standard input) to the Kubernetes lists of a snapshot.

A bad document never stops the rest: complaints are kept beside what could be read, with file, line and column.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from xdsaudit.collect.documents import Document, Keys, Trouble, parse
from xdsaudit.errors import InputError
from xdsaudit.ingress.api_rules import Complaint, Fault, Grade, shape_faults, value_faults
from xdsaudit.ingress.objects import KINDS
from xdsaudit.model.plain import Plain, as_mapping, as_mappings, as_text, part
from xdsaudit.model.verdict import Origin, Origins

_PLURALS: Final[Mapping[str, str]] = {kind: plural for plural, (kind, _) in KINDS.items()}
_VERSION: Final = "networking.k8s.io/v1"
_OLD_VERSIONS: Final[Mapping[str, str]] = {
    "extensions/v1beta1": "removed in Kubernetes 1.22",
    "networking.k8s.io/v1beta1": "removed in Kubernetes 1.22",
}
_GROUPS: Final = {"WasmPlugin": "extensions.higress.io/v1alpha1"}
"""Kinds of the same name in other groups are different kinds."""
_MOST_BYTES: Final = 256 << 20
_MOST_FILES: Final = 20_000


class Manifests(NamedTuple):
    """The contents of manifests.

    Attributes:
        lists: Kubernetes lists by plural.
        origins: files and lines of Ingresses and their paths; of WasmPlugins, Services and ConfigMaps under ``wasmplugin/namespace/name``.
        order: position of each object, by kind, namespace and name; a later one is newer.
        complaints: what is wrong with them, in file order.
    """

    lists: dict[str, bytes]
    origins: Origins
    order: dict[tuple[str, str, str], int]
    complaints: tuple[Complaint, ...] = ()

    @property
    def refs(self) -> frozenset[str]:
        """The Ingresses, each ``namespace/name``."""
        return frozenset(ref for ref, host, _ in self.origins if not host and ref.count("/") == 1)

    @property
    def chosen(self) -> frozenset[str]:
        """The Ingresses, and the WasmPlugins as ``wasmplugin/namespace/name``: what to wait for."""
        return self.refs | frozenset(f"wasmplugin/{ref}" for ref in self.plugins)

    @property
    def plugins(self) -> frozenset[str]:
        """The WasmPlugins, each ``namespace/name``."""
        named = (ref for ref, _, _ in self.origins if ref.startswith("wasmplugin/"))
        return frozenset(ref.partition("/")[2] for ref in named)

    @property
    def unread(self) -> tuple[str, ...]:
        """What could not be read, as text: it may contain rules."""
        return tuple(str(c) for c in self.complaints if c.grade is Grade.UNREADABLE)


class _Item(NamedTuple):
    """An object in a document: ``keys`` lead to it."""

    source: str
    document: Document
    keys: Keys
    value: Plain
    number: int

    def place(self, keys: Keys = ()) -> Origin:
        return Origin(self.source, *self.document.mark((*self.keys, *keys)))

    def says(self, grade: Grade, text: str, keys: Keys = (), ref: str = "") -> Complaint:
        return Complaint(grade, self.place(keys), text, ref)


class _Object(NamedTuple):
    """An object that was read, and its identity."""

    kind: str
    namespace: str
    name: str
    value: Mapping[str, Plain]


def read_manifests(places: Iterable[str], default_namespace: str = "default", *, to_check: bool = False) -> Manifests:
    """Every object in these manifests, as lists by plural; ``-`` is standard input.

    Values of Secrets are dropped while reading. Kinds without any object are absent, so that what depends on them is unknown
    rather than missing.

    Args:
        places: files, folders and ``-``.
        default_namespace: the namespace of objects without one.
        to_check: return the complaints even if no Ingress could be read.

    Raises:
        InputError: a path does not exist or cannot be read, or no Ingress could be read; the message names file and line.
    """
    places = tuple(places)
    objects: dict[tuple[str, str, str], Mapping[str, Plain]] = {}
    origins: dict[tuple[str, str, str], Origin] = {}
    order: dict[tuple[str, str, str], int] = {}
    complaints: list[Complaint] = []
    count = 0
    for item in _items(places, complaints):
        count = item.number
        checked = _checked(item, default_namespace, complaints)
        if checked is None:
            continue
        kind, namespace, name, value = checked
        key, ref = (kind, namespace, name), f"{namespace}/{name}"
        if key in objects and kind == "Ingress":
            text = f"{kind} {ref} is written twice; the last one counts, as kubectl applies them in order"
            complaints.append(item.says(Grade.REPEATED, text, ("metadata", "name"), ref))
        objects[key], order[key] = value, count
        if kind in ("WasmPlugin", "Service", "ConfigMap"):
            origins[f"{kind.lower()}/{ref}", "", ""] = item.place()._replace(column=0)
        if kind == "Ingress":
            origins.update(_origins(ref, item, value))
    lists: dict[str, list[Mapping[str, Plain]]] = {}
    for (kind, _, _), value in objects.items():
        lists.setdefault(_PLURALS[kind], []).append(value)
    if not lists.keys() & {"ingresses", "wasmplugins"} and not (to_check and complaints):
        _no_ingress(places, count, complaints)
    return Manifests(
        {plural: _encode(plural, items) for plural, items in lists.items()}, origins, order, tuple(complaints)
    )


def _no_ingress(places: tuple[str, ...], count: int, complaints: list[Complaint]) -> None:
    worst = [c for c in complaints if c.grade is not Grade.SKIPPED] or complaints
    if not worst:
        text = f"no Ingress or WasmPlugin among {count} documents; add the manifests of the Ingresses"
        raise InputError(f"-f {', '.join(places)}: {text}")
    more = f"; {len(worst) - 1} more like it" if len(worst) > 1 else ""
    first = worst[0]
    raise InputError(
        f"-f {first.origin.file}, line {first.origin.line}, column {first.origin.column}: {first.text}{more}"
    )


def _encode(plural: str, items: list[Mapping[str, Plain]]) -> bytes:
    return msgspec.json.encode({"apiVersion": "v1", "kind": f"{KINDS[plural][0]}List", "items": items})


def read_whole(places: Iterable[str], default_namespace: str = "default") -> Manifests:
    """Like `read_manifests`, for callers who need every rule: an unreadable document is an error.

    Raises:
        InputError: a document could not be read, or what `read_manifests` raises.
    """
    given = read_manifests(places, default_namespace)
    if given.unread:
        more = f"; {len(given.unread) - 1} more like it" if len(given.unread) > 1 else ""
        raise InputError(f"-f {given.unread[0]}{more}; xdsaudit check -f lists what is wrong")
    return given


def files_of(path: Path) -> list[Path]:
    """A file, or a folder's manifests in order.

    Raises:
        InputError: there is none, or there are too many to be intended.
    """
    if not path.exists():
        raise InputError(f"-f {path}: no such file or directory; check the path")
    if not path.is_dir():
        return [path]
    files: list[Path] = []
    for folder, _, names in os.walk(path):
        files += [Path(folder, name) for name in names if name.endswith((".yaml", ".yml", ".json"))]
        if len(files) > _MOST_FILES:
            raise InputError(f"-f {path}: contains more than {_MOST_FILES:,} manifests; name the intended folders")
    if not files:
        raise InputError(f"-f {path}: contains no .yaml, .yml or .json file; check the path")
    return sorted(files)


def _items(places: Iterable[str], complaints: list[Complaint]) -> Iterator[_Item]:
    """Every object, with lists taken apart, numbered by document; complaints about the rest."""
    number = 0
    for source, data in _texts(places):
        for document in parse(data):
            if isinstance(document, Trouble):
                text = f"{document.text}; correct it"
                complaints.append(Complaint(Grade.UNREADABLE, Origin(source, *document.mark), text))
                number += 1
                continue
            for keys, value in _objects(document.value):
                number += 1
                yield _Item(source, document, keys, value, number)


def _objects(value: Plain) -> Iterator[tuple[Keys, Plain]]:
    if value is None:
        return
    listing = value if isinstance(value, Mapping) else {}
    kind, items = listing.get("kind"), listing.get("items")
    if isinstance(kind, str) and kind.endswith("List") and isinstance(items, list):
        inner = kind.removesuffix("List")
        for index, item in enumerate(items):
            bare = isinstance(item, dict) and inner and "kind" not in item
            yield ("items", index), {"kind": inner, "apiVersion": listing.get("apiVersion"), **item} if bare else item
    else:
        yield (), value


def _texts(places: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    for place in places:
        if place == "-":
            yield "standard input", _bounded("standard input", sys.stdin.buffer.read(_MOST_BYTES + 1))
            continue
        for file in files_of(Path(place)):
            try:
                with file.open("rb") as stream:
                    data = stream.read(_MOST_BYTES + 1)
            except OSError as error:
                raise InputError(f"-f {file}: {error.strerror or error}; check its permissions") from error
            yield str(file), _bounded(str(file), data)


def _bounded(source: str, data: bytes) -> bytes:
    if len(data) > _MOST_BYTES:
        raise InputError(f"-f {source}: is larger than {_MOST_BYTES >> 20} MiB; split it")
    return data


def _checked(item: _Item, namespace: str, complaints: list[Complaint]) -> _Object | None:
    """The object with completed metadata; None if it is not read, with the reason among the complaints."""
    value = item.value if isinstance(item.value, Mapping) else {}
    kind = value.get("kind")
    if not isinstance(kind, str):
        like = "kind" in value or "apiVersion" in value or "metadata" in value
        text = "is not a Kubernetes object (it has no kind); correct it or leave out the file"
        complaints.append(item.says(Grade.UNREADABLE if like else Grade.SKIPPED, text))
        return None
    version = value.get("apiVersion")
    if kind not in _PLURALS or _GROUPS.get(kind, version) != version:
        return None  # other kinds may be in the same folder
    if kind == "Ingress" and version != _VERSION:
        _other_ingress(item, version, complaints)
        return None
    meta = value.get("metadata")
    called = meta.get("name") if isinstance(meta, Mapping) else None
    if not isinstance(meta, Mapping) or not isinstance(called, str) or not called:
        complaints.append(item.says(Grade.UNREADABLE, f"{kind} has no metadata.name; correct it", ("metadata",)))
        return None
    space = meta.get("namespace")
    if space is None or space == "":
        space = "" if kind == "IngressClass" else namespace
    name = f"{space}/{called}" if isinstance(space, str) and space else called
    subject = f"{kind} {name}"
    ref = name if kind == "Ingress" else ""
    value = {**value, "metadata": {**meta, "namespace": space}}
    if kind == "Secret":
        value = _without_values(value)
    faults = shape_faults(kind, value) or list(_untyped(kind, value))
    typed = [f for f in faults if f.typed]
    if not typed:
        faults += value_faults(kind, value)
    depth = len(item.keys)
    twice = [k[depth:] for k in item.document.twice if k[:depth] == item.keys]
    faults += [Fault(keys, "is written twice; the last one counts", unknown=True) for keys in twice]
    complaints += [item.says(_grade(f), f"{subject}: {f.path} {f.text}", f.keys, ref) for f in dict.fromkeys(faults)]
    return None if typed else _Object(kind, as_text(space), called, value)


def _grade(fault: Fault) -> Grade:
    if fault.typed:
        return Grade.UNREADABLE
    return Grade.UNKNOWN_FIELD if fault.unknown else Grade.REFUSED


def _other_ingress(item: _Item, version: Plain, complaints: list[Complaint]) -> None:
    """An Ingress of another API version: Knative's is a different kind, an old one would be refused."""
    if (
        isinstance(version, str)
        and version
        and version not in _OLD_VERSIONS
        and "." in version
        and "k8s.io" not in version
    ):
        complaints.append(item.says(Grade.SKIPPED, f"Ingress of {version} is a different kind and was left out"))
        return
    why = f" ({_OLD_VERSIONS[version]})" if isinstance(version, str) and version in _OLD_VERSIONS else ""
    written = version if isinstance(version, str) and version else "no apiVersion"
    complaints.append(
        item.says(Grade.UNREADABLE, f"Ingress of {written}{why}; write it for {_VERSION}", ("apiVersion",))
    )


def _without_values(secret: Mapping[str, Plain]) -> Mapping[str, Plain]:
    """A Secret with only the names of its keys; anything but a mapping stays, for a later complaint."""
    data = secret.get("data")
    kept = dict.fromkeys(data, "") if isinstance(data, dict) else [] if isinstance(data, list) else data
    return {**secret, "data": kept, "stringData": {}}


def _untyped(kind: str, value: Mapping[str, Plain]) -> Iterator[Fault]:
    """What is wrong with objects of kinds that the table of fields lacks (McpBridge, EndpointSlice)."""
    try:
        msgspec.convert(value, KINDS[_PLURALS[kind]][1], strict=True)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        yield Fault(_keys(path.rstrip("`")), f"cannot be read: {text[:1].lower()}{text[1:]}", typed=True)


_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


def _keys(path: str) -> Keys:
    """The path that msgspec gives as text, as far as it is unambiguous."""
    return tuple(int(index) if index else name for name, index in _STEP.findall(path.partition("[...]")[0]))


def _origins(ref: str, item: _Item, value: Mapping[str, Plain]) -> Iterator[tuple[tuple[str, str, str], Origin]]:
    """Lines of an Ingress, of each of its annotations and of each of its paths."""
    yield (ref, "", ""), item.place()._replace(column=0)
    for key in as_mapping(part(value, "metadata", "annotations")):
        yield (ref, "", f"@{key}"), item.place(("metadata", "annotations", key))
    for r, rule in enumerate(as_mappings(part(value, "spec", "rules"))):
        for p, path in enumerate(as_mappings(part(rule, "http", "paths"))):
            where = item.place(("spec", "rules", r, "http", "paths", p))._replace(column=0)
            yield (ref, as_text(rule.get("host")) or "*", as_text(path.get("path")) or "/"), where
