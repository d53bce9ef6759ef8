"""What the Kubernetes API server would refuse of a manifest, without asking one.

Fields and their types come from ``kube_fields.json`` (made from the kubernetes package's models by tools/build_kube_fields.py); the
rules of an Ingress's values are those of Kubernetes pkg/apis/networking/validation/validation.go. Must not know Higress.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from enum import Enum
from functools import cache
from importlib import resources
from typing import Final, NamedTuple, TypeAlias

import msgspec

from xdsaudit.model.plain import Plain, as_list, as_mapping, as_mappings, as_text, part
from xdsaudit.model.verdict import Origin

Keys: TypeAlias = tuple[str | int, ...]


class Fault(NamedTuple):
    """One thing that is wrong with an object.

    Attributes:
        keys: where: keys and indexes from the object down.
        text: what is wrong there and what is expected.
        typed: the value cannot be read as what it should be, so that the object as a whole cannot.
        unknown: its kind has no such field.
    """

    keys: Keys
    text: str
    typed: bool = False
    unknown: bool = False

    @property
    def path(self) -> str:
        """Where, as kubectl writes it: ``spec.rules[0].host``."""
        return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.keys).lstrip(".")


class Grade(Enum):
    """What a complaint means for the object it is about."""

    UNREADABLE = "unreadable"
    """It, or the document, was not read: it may hold rules that nobody looked at."""
    REFUSED = "refused"
    """It was read, and the API server would refuse it."""
    UNKNOWN_FIELD = "unknown-field"
    """It was read without a field that its kind does not have, or with one of two equal keys: kubectl refuses that, others drop it."""
    REPEATED = "repeated"
    """It replaces an object of the same name that stood before it."""
    SKIPPED = "skipped"
    """It is no object for the API at all, such as a chart's values, or no object of a kind that Higress reads."""


class Complaint(NamedTuple):
    """Something wrong with a manifest.

    Attributes:
        grade: what it means.
        origin: file, line and column.
        text: subject, place in the object and what is expected.
        ref: ``namespace/name`` of the Ingress it is about, or empty.
    """

    grade: Grade
    origin: Origin
    text: str
    ref: str = ""

    def __str__(self) -> str:
        return f"{self.origin}: {self.text}"


def shape_faults(kind: str, item: Mapping[str, Plain]) -> list[Fault]:
    """Values of the wrong type (``typed``) and fields that the kind does not have; nothing for kinds that are not in the table."""
    return list(_shape(item, kind, ())) if kind in fields() else []


@cache
def fields() -> Mapping[str, Mapping[str, str]]:
    """Type to field to type, from the package's file."""
    text = resources.files("xdsaudit.ingress").joinpath("kube_fields.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, dict[str, str]])


_SIMPLE: Final[Mapping[str, tuple[type, ...]]] = {"string": (str,), "integer": (int,), "boolean": (bool,)}
_SAID: Final = {"string": "text", "integer": "a whole number", "boolean": "true or false"}


def _shape(value: object, kind: str, keys: Keys) -> Iterator[Fault]:
    if value is None or kind == "any":
        return
    if kind in _SIMPLE:
        good = isinstance(value, _SIMPLE[kind]) and not (kind == "integer" and isinstance(value, bool))
        if not good and not (kind == "integer" and isinstance(value, float) and value.is_integer()):
            yield Fault(keys, f"is {_shown(value, keys)}, expected {_SAID[kind]}{_hint(value, kind)}", typed=True)
        return
    inner = kind[1:-1]
    if kind[0] == "[":
        if not isinstance(value, list):
            yield Fault(keys, f"is {_shown(value, keys)}, expected a list", typed=True)
            return
        for index, each in enumerate(value):
            yield from _shape(each, inner, (*keys, index))
        return
    if not isinstance(value, dict):
        yield Fault(keys, f"is {_shown(value, keys)}, expected a mapping", typed=True)
        return
    if kind[0] == "{":
        for key, each in value.items():
            yield from _shape(each, inner, (*keys, key))
        return
    known = fields().get(kind)
    if known is None:
        return
    for key, each in value.items():
        if key in known:
            yield from _shape(each, known[key], (*keys, key))
        else:
            yield Fault((*keys, key), f"is no field of {_article(kind)}{_meant(key, known)}", unknown=True)


def _meant(key: str, known: Mapping[str, str]) -> str:
    folded = {name.lower(): name for name in known}
    close = get_close_matches(key.lower(), folded, n=1, cutoff=0.75)
    return f"; did you mean {folded[close[0]]}?" if close else ""


def _article(kind: str) -> str:
    return f"{'an' if kind[0] in 'AEIOUH' else 'a'} {kind}"


_HIDDEN: Final = frozenset({"annotations", "data", "stringData"})


def _shown(value: object, keys: Keys) -> str:
    """The value in words; where a credential may stand only its type."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    if isinstance(value, str):
        return "text" if len(value) > 40 or _HIDDEN & set(keys) else f"the text {value!r}"
    return "a number" if _HIDDEN & set(keys) else f"the number {value}"


def _hint(value: object, kind: str) -> str:
    if kind == "string" and not isinstance(value, dict | list):
        return "; put it in quotes"
    if kind == "integer" and isinstance(value, str) and value.strip().isdigit():
        return "; leave the quotes out"
    return ""


_LABEL: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_PORT_NAME: Final = re.compile(r"(?=.*[a-z])[a-z0-9]+(?:-[a-z0-9]+)*")
_KEY_NAME: Final = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_NAMES: Final = "lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"
_LABELS: Final = "at most 63 lower-case letters, digits and '-', beginning and ending with a letter or digit"
_PATH_TYPES: Final = ("Exact", "Prefix", "ImplementationSpecific")
_IN_PATH: Final = ("//", "/./", "/../", "%2f", "%2F")
_AT_END: Final = ("/..", "/.")
_PORTS: Final = range(1, 65536)


def value_faults(kind: str, item: Mapping[str, Plain]) -> list[Fault]:
    """Values that the API refuses, of an object whose types are right."""
    faults = list(_metadata(kind, as_mapping(item.get("metadata"))))
    if kind == "Ingress":
        faults += _ingress(item)
    return faults


def _metadata(kind: str, meta: Mapping[str, Plain]) -> Iterator[Fault]:
    name = as_text(meta.get("name"))
    if kind == "Service":
        if not _LABEL.fullmatch(name):
            yield Fault(("metadata", "name"), f"is {name!r}, expected {_LABELS}")
    elif not _subdomain(name):
        yield Fault(("metadata", "name"), f"is {name!r}, expected {_NAMES}")
    namespace = as_text(meta.get("namespace"))
    if namespace and not _LABEL.fullmatch(namespace):
        yield Fault(("metadata", "namespace"), f"is {namespace!r}, expected {_LABELS}")
    for held in ("annotations", "labels"):
        for key in as_mapping(meta.get(held)):
            prefix, _, last = key.rpartition("/")
            if not _KEY_NAME.fullmatch(last) or ("/" in key and not _subdomain(prefix.lower())):
                yield Fault(("metadata", held, key), "is no key the API takes; expected a name, or domain/name")


def _subdomain(text: str) -> bool:
    return len(text) <= 253 and _SUBDOMAIN.fullmatch(text) is not None


def _ingress(item: Mapping[str, Plain]) -> Iterator[Fault]:
    spec = as_mapping(item.get("spec"))
    notes = as_mapping(part(item, "metadata", "annotations"))
    name = spec.get("ingressClassName")
    if name is not None and not _subdomain(as_text(name)):
        yield Fault(("spec", "ingressClassName"), f"is {name!r}, expected {_NAMES}")
    if name is not None and "kubernetes.io/ingress.class" in notes:
        said = "stands beside spec.ingressClassName, which the API refuses in a new Ingress; keep one of them"
        yield Fault(("metadata", "annotations", "kubernetes.io/ingress.class"), said)
    if not spec.get("rules") and not spec.get("defaultBackend"):
        yield Fault(("spec",), "has neither rules nor defaultBackend; one of them is required")
    if spec.get("defaultBackend") is not None:
        yield from _backend(as_mapping(spec["defaultBackend"]), ("spec", "defaultBackend"))
    for index, tls in enumerate(as_mappings(spec.get("tls"))):
        for n, host in enumerate(as_list(tls.get("hosts"))):
            yield from _host(as_text(host), ("spec", "tls", index, "hosts", n))
    for index, rule in enumerate(as_mappings(spec.get("rules"))):
        yield from _rule(rule, ("spec", "rules", index))


def _rule(rule: Mapping[str, Plain], at: Keys) -> Iterator[Fault]:
    host = as_text(rule.get("host"))
    if host:
        yield from _host(host, (*at, "host"))
    if rule.get("http") is None:
        return
    paths = as_mappings(part(rule, "http", "paths"))
    if not paths:
        yield Fault((*at, "http"), "has no paths; at least one is required")
    for index, path in enumerate(paths):
        yield from _path(path, (*at, "http", "paths", index))


def _host(host: str, at: Keys) -> Iterator[Fault]:
    bare = host.removeprefix("*.")
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        if not _subdomain(bare):
            yield Fault(at, f"is {host!r}, expected a DNS name ({_NAMES}), at most with '*.' before it")
    else:
        yield Fault(at, f"is the address {host}, expected a DNS name")


def _path(path: Mapping[str, Plain], at: Keys) -> Iterator[Fault]:
    kind, text = path.get("pathType"), as_text(path.get("path"))
    if kind is None:
        yield Fault(at, f"has no pathType; expected one of {', '.join(_PATH_TYPES)}")
    elif kind not in _PATH_TYPES:
        close = get_close_matches(str(kind), _PATH_TYPES, n=1)
        meant = f"; did you mean {close[0]}?" if close else ""
        yield Fault((*at, "pathType"), f"is {kind!r}, expected one of {', '.join(_PATH_TYPES)}{meant}")
    if not text.startswith("/") and (text or kind in ("Exact", "Prefix")):
        yield Fault((*at, "path") if text else at, f"is {text!r}, expected a path that begins with '/'")
    elif kind in ("Exact", "Prefix"):
        bad = [p for p in _IN_PATH if p in text] + [p for p in _AT_END if text.endswith(p)]
        if bad:
            yield Fault((*at, "path"), f"is {text!r}: {bad[0]!r} is not allowed in a path of type {kind}")
    if path.get("backend") is None:
        yield Fault(at, "has no backend")
    else:
        yield from _backend(as_mapping(path["backend"]), (*at, "backend"))


def _backend(backend: Mapping[str, Plain], at: Keys) -> Iterator[Fault]:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        yield Fault(at, "has both service and resource; expected one of them")
    elif service is not None:
        yield from _service(as_mapping(service), (*at, "service"))
    elif resource is None:
        yield Fault(at, "has neither service nor resource; expected one of them")
    else:
        for needed in ("kind", "name"):
            if not part(resource, needed):
                yield Fault((*at, "resource"), f"has no {needed}")


def _service(service: Mapping[str, Plain], at: Keys) -> Iterator[Fault]:
    name, port = as_text(service.get("name")), as_mapping(service.get("port"))
    if not name:
        yield Fault(at, "has no name")
    elif not _LABEL.fullmatch(name):
        yield Fault((*at, "name"), f"is {name!r}, expected {_LABELS}")
    number, called = port.get("number"), as_text(port.get("name"))
    if number and called:
        yield Fault((*at, "port"), "has both number and name; expected one of them")
    elif called:
        if len(called) > 15 or not _PORT_NAME.fullmatch(called):
            said = "at most 15 lower-case letters, digits and single '-', with a letter"
            yield Fault((*at, "port", "name"), f"is {called!r}, expected {said}")
    elif number is None or number == 0:
        yield Fault((*at, "port") if "port" in service else at, "has no port number or name; one of them is required")
    elif number not in _PORTS:
        yield Fault((*at, "port", "number"), f"is {number}, expected a number from 1 to 65535")
