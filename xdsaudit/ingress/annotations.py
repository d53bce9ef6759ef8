"""Annotations of an Ingress: the lookups with Higress's rules for values, and what is to be said of its keys.

Source: higress@v2.0.1 pkg/ingress/kube/annotations/*.go. ``N|H`` keys are looked up under nginx's prefix first and, when
that one is absent or does not parse, under Higress's; ``H`` keys under Higress's alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import Final, TypeVar

from xdsaudit.ingress.annotation_table import BY_KEY, TABLE
from xdsaudit.ingress.foreign_keys import BY_NGINX_KEY, CONSOLE, NGINX_KEYS, OTHERS, PROTECTS
from xdsaudit.ingress.go import atoi, parse_bool, parse_int, split_blanks, trim_space
from xdsaudit.ingress.profile import Version
from xdsaudit.model.route import Op

NGINX: Final = "nginx.ingress.kubernetes.io/"
HIGRESS: Final = "higress.io/"
MATCH_MARKERS: Final = ("match-header", "match-pseudo-header", "match-query")

T = TypeVar("T")


_KINDS: Final[tuple[Op, ...]] = ("exact", "regex", "prefix")

Asked = tuple[Op, str, str]
"""What one match annotation asks for: how to match, what, and the value."""


def match_keys(annotations: Mapping[str, str], marker: str) -> dict[str, Asked | None]:
    """What the match annotations of one marker ask for, by key: kind, name and value.

    None for a key that ends the reading, because its kind does not stand right behind eleven characters of a prefix,
    or its name is empty; without any key beside it nothing is asked for (higress@v2.0.1
    pkg/ingress/kube/annotations/match.go doMatch).
    """
    asked: dict[str, Asked | None] = {}
    for key, value in annotations.items():
        at = key.find(marker)
        if at >= 0:
            name = key[at + len(marker) + 1 :]
            kind = next((k for k in _KINDS if key.find(k) == len(HIGRESS)), None)
            asked[key] = (kind, name, value) if kind and name else None
    return asked


def _random_matches(annotations: Mapping[str, str]) -> Iterator[str]:
    for marker in MATCH_MARKERS:
        read = match_keys(annotations, marker)
        good = {key: asked for key, asked in read.items() if asked is not None}
        asked_of: dict[str, set[Asked]] = {}
        for asked in good.values():
            asked_of.setdefault(asked[1], set()).add(asked)
        if good and len(good) < len(read):
            yield from (key for key in read if key not in good)
        yield from (key for key, asked in good.items() if len(asked_of[asked[1]]) > 1)


def _random_host(annotations: Mapping[str, str]) -> Iterator[str]:
    """Keys that give the Host header several values: which one counts is the last that Go's map gives."""
    if look(annotations, "upstream-vhost", text) is not None:
        return
    for action in ("update", "add"):
        lines = look(annotations, f"request-header-control-{action}", text)
        hosts = {name: value for name, value in header_pairs(lines).items() if name.lower() in ("host", ":authority")}
        if len({*hosts.values()}) > 1:
            yield f"{HIGRESS}request-header-control-{action}"
        if any(hosts.values()):
            return  # what an update gives, an addition does not change


def header_pairs(lines: str | None) -> dict[str, str]:
    """Names and values of header operations, a line each (``convertAddOrUpdate``); a line without a value is skipped."""
    pairs = {}
    for line in (lines or "").split("\n"):
        words = split_blanks(trim_space(line), 2)
        if len(words) == 2:
            pairs[_unquoted(trim_space(words[0]))] = _unquoted(trim_space(words[1]))
    return pairs


def _unquoted(word: str) -> str:
    """``trimQuotes``: only a matching pair goes."""
    return word[1:-1] if len(word) >= 2 and word[0] == word[-1] and word[0] in "\"'" else word


def unforeseeable(annotations: Mapping[str, str]) -> tuple[str, ...]:
    """Keys whose effect depends on the random order of a Go map, so that the routes cannot be foretold.

    A match key that ends the reading beside others, one name under two kinds (higress@v2.0.1
    pkg/ingress/kube/annotations/match.go), several values of the Host header in one operation
    (higress-group/istio@d380470e53 pilot/pkg/networking/core/v1alpha3/route/route.go translateAppendHeaders).
    """
    keys: list[str] = []
    if any("match-" in key for key in annotations):
        keys += _random_matches(annotations)
    if any("request-header-control" in key for key in annotations):
        keys += _random_host(annotations)
    return tuple(dict.fromkeys(keys))


@lru_cache(maxsize=1024)
def meaningless(keys: tuple[str, ...], version: Version | None) -> tuple[tuple[str, str], ...]:
    """Those of an Ingress's keys under Higress's or nginx's prefix that this Higress does not read, each with a sentence that says what to do.

    Nothing is said of keys newer than the controller, or dropped by it, where its version is not known (None), nor of keys
    that are meant to protect a route: those are more than meaningless, and ``protection`` tells of them.
    """
    remarks = []
    for key in keys:
        prefix = next((p for p in (HIGRESS, NGINX) if key.startswith(p)), None)
        name = key[len(prefix) :] if prefix else ""
        if prefix is None or any(m in key for m in MATCH_MARKERS) or CONSOLE.match(name) or protects(name):
            continue
        row = BY_KEY.get(name)
        if row is not None:
            if prefix == NGINX and not row.nginx:
                remarks.append((key, f"it is read as {HIGRESS}{name} only"))
            elif version is not None and row.since > version:
                since, own = (".".join(map(str, v)) for v in (row.since, version))
                remarks.append((key, f"Higress reads it from {since} on, and this controller is {own}"))
        elif name in BY_NGINX_KEY:
            instead = BY_NGINX_KEY[name].instead
            remarks.append((key, f"ingress-nginx reads it, Higress ignores it{f' ({instead})' if instead else ''}"))
        elif name in OTHERS:
            remarks.append((key, f"Higress does not know it (what is meant is {OTHERS[name]})"))
        else:
            near = get_close_matches(name, _NEAR, n=1, cutoff=0.75) if len(name) < 64 else []
            meant = near[0] if near and prefix + near[0] not in keys else None
            remarks.append((key, f"did you mean {HIGRESS}{meant}?" if meant else "Higress does not know it"))
    return tuple(remarks)


_NEAR: Final = tuple(BY_KEY)
_PROTECTING: Final = frozenset(row.key for row in NGINX_KEYS if row.weight == PROTECTS)


def protects(name: str) -> bool:
    """Whether a key, without its prefix, is meant to keep somebody out."""
    if CONSOLE.match(name):
        return False
    return name.startswith(("auth-", "modsecurity-")) or name in _PROTECTING or name.endswith("list-source-range")


def acts(key: str, version: Version | None = None) -> bool:
    """Whether Higress, or that of this version, reads this key at all, under the prefix it is written with."""
    for prefix in (HIGRESS, NGINX):
        row = BY_KEY.get(key[len(prefix) :]) if key.startswith(prefix) else None
        if row is not None and (row.nginx or prefix == HIGRESS):
            return version is None or row.read_by(version)
    return any(marker in key for marker in MATCH_MARKERS)


@cache
def _unread(version: Version) -> frozenset[str]:
    return frozenset(p + row.key for row in TABLE if not row.read_by(version) for p in (NGINX, HIGRESS))


def relevant(annotations: Mapping[str, str], version: Version) -> dict[str, str]:
    """The annotations whose key can mean anything to a Higress of this version."""
    unread = _unread(version)
    return {
        k: v
        for k, v in annotations.items()
        if (k.startswith((NGINX, HIGRESS)) and k not in unread) or any(m in k for m in MATCH_MARKERS)
    }


def text(raw: str) -> str | None:
    """A string value: every line trimmed; empty counts as absent."""
    return "\n".join(trim_space(line) for line in raw.split("\n")) or None


def integer(raw: str) -> int | None:
    """A number, as Go's ``strconv.Atoi`` reads it."""
    return atoi(raw)


def integer32(raw: str) -> int | None:
    """A number of 32 bits (``ParseInt32ASAP``)."""
    return parse_int(raw, 32)


def boolean(raw: str) -> bool | None:
    """A switch, as Go's ``strconv.ParseBool`` reads it."""
    return parse_bool(raw)


def look(annotations: Mapping[str, str], key: str, parse: Callable[[str], T | None]) -> T | None:
    """Value of a key under the prefixes its row allows, or None when it is absent or does not parse."""
    if not annotations:
        return None
    for prefix in (NGINX, HIGRESS) if BY_KEY[key].nginx else (HIGRESS,):
        raw = annotations.get(prefix + key)
        if raw is not None:
            value = parse(raw)
            if value is not None:
                return value
    return None


def has(annotations: Mapping[str, str], *keys: str) -> bool:
    """Whether any of these keys is written at all, under a prefix that counts."""
    return bool(annotations) and any(
        p + k in annotations for k in keys for p in ((NGINX, HIGRESS) if BY_KEY[k].nginx else (HIGRESS,))
    )


def items(raw: str) -> list[str]:
    """Trimmed non-empty items of a comma list (``splitBySeparator``)."""
    return [part for part in (trim_space(p) for p in raw.split(",")) if part]


def items_or_star(raw: str) -> list[str]:
    """Trimmed items of a comma list, empty ones too; one that is ``*`` makes all ``*`` (``splitStringWithSpaceTrim``)."""
    words = [trim_space(p) for p in raw.split(",")]
    return ["*"] if "*" in words else words


def namespaced(raw: str, namespace: str) -> tuple[str, str] | None:
    """``[namespace/]name`` (``SplitNamespacedName``); None without a name. What has more slashes is its first part."""
    parts = raw.split("/")
    where, name = parts if len(parts) == 2 else ("", parts[0])
    return (where or namespace, name) if name else None


def crash_keys(annotations: Mapping[str, str]) -> tuple[str, ...]:
    """Keys that make the controller panic when it builds a rule's key.

    higress@v2.0.1 pkg/ingress/kube/ingressv1/controller.go createRuleKey cuts eleven characters and the marker out of the
    key without looking: a marker that begins earlier, or ends the key, slices out of range.
    """
    return tuple(
        key
        for key in annotations
        for marker in MATCH_MARKERS
        if marker in key and (key.index(marker) < len(HIGRESS) or key.endswith(marker))
    )
