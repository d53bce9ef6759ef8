"""Kubernetes lists: each object's decoded fields, and the annotations that Higress reads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

import msgspec
from msgspec import inspect

from xdsaudit.collect.redact.literals import Literals
from xdsaudit.collect.redact.plugins import clean_object
from xdsaudit.ingress.annotations import HIGRESS, MATCH_MARKERS, NGINX, acts
from xdsaudit.ingress.objects import KINDS
from xdsaudit.ingress.tls import read_config
from xdsaudit.model.plain import Plain, as_mapping, part
from xdsaudit.model.sensitive import sensitive

_ALWAYS_KEPT: Final = frozenset({"kubernetes.io/ingress.class"})
_HEADER_CONTROL: Final = re.compile(r"(?:request|response)-header-control-(?:add|update)$")
_MATCH: Final = re.compile(r"(?:(?P<kind>exact|prefix|regex)-)?match-(?:pseudo-)?(?:header|query)-(?P<name>.+)$")
_CERTIFICATES: Final = "higress-https"


def clean_list(plural: str, data: bytes, literals: Literals) -> bytes:
    """A list with only what is read; empty for a kind that is not read, and ``{}`` for bytes that are not a list."""
    if plural not in KINDS:
        return b""
    try:
        decoded = msgspec.json.decode(data)
        items = decoded["items"] or []
        cleaned = [_item(plural, i, literals) for i in items if isinstance(i, dict)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError, ValueError):
        return b"{}"
    kept = {k: decoded[k] for k in ("apiVersion", "kind") if isinstance(decoded.get(k), str)}
    return json.dumps({**kept, "items": cleaned}).encode()


@cache
def _shape(plural: str) -> inspect.Type:
    return inspect.type_info(KINDS[plural][1])


def _item(plural: str, item: Mapping[str, Plain], literals: Literals) -> Mapping[str, Plain]:
    meta = item.get("metadata")
    annotations = meta.get("annotations") if isinstance(meta, dict) else None
    kept = dict(as_mapping(_kept(item, _shape(plural))))
    if isinstance(item.get("apiVersion"), str):
        kept["apiVersion"] = item["apiVersion"]
    if isinstance(annotations, dict):
        kept["metadata"] = {**as_mapping(kept["metadata"]), "annotations": _annotations(annotations, literals)}
    if plural == "secrets":
        kept["data"] = dict.fromkeys(as_mapping(item.get("data")), "")
    if plural == "wasmplugins":
        clean_object(item, kept, literals)
    if plural == "configmaps":
        kept["data"] = _config(kept, literals)
    return kept


def _kept(value: Plain, shape: inspect.Type) -> Plain:
    """The part of a value that a type reads; of a value of the wrong type only whether it is empty."""
    if isinstance(shape, inspect.UnionType):
        fits = next((t for t in shape.types if isinstance(t, _FITTING.get(type(value), ()))), None)
        return _kept(value, fits) if fits is not None else _empty(value)
    if isinstance(shape, inspect.StructType) and isinstance(value, dict):
        return {f.encode_name: _kept(value[f.encode_name], f.type) for f in shape.fields if f.encode_name in value}
    if isinstance(shape, inspect.DictType) and isinstance(value, dict):
        return {k: _kept(v, shape.value_type) for k, v in value.items()}
    if isinstance(shape, inspect.ListType) and isinstance(value, list):
        return [_kept(v, shape.item_type) for v in value]
    return _empty(value)


_FITTING: Final[dict[type, tuple[type[inspect.Type], ...]]] = {
    dict: (inspect.StructType, inspect.DictType),
    list: (inspect.ListType,),
}


def _empty(value: Plain) -> Plain:
    """A scalar unchanged; anything else as an empty mapping or list."""
    return {} if isinstance(value, dict) else [] if isinstance(value, list) else value


def _annotations(annotations: Mapping[str, Plain], literals: Literals) -> dict[str, Plain]:
    """Keys that could mean anything to Higress; the value of one it does not read is dropped."""
    kept: dict[str, Plain] = {}
    for key, value in annotations.items():
        if not isinstance(value, str) or key in _ALWAYS_KEPT:
            kept[key] = value if not isinstance(value, (dict, list)) else {}
        elif acts(key):
            kept[key] = _annotation(key, value, literals, annotations)
        elif key.startswith((NGINX, HIGRESS)) or any(m in key for m in MATCH_MARKERS):
            kept[key] = ""
    return kept


def _annotation(key: str, value: str, literals: Literals, annotations: Mapping[str, Plain]) -> str:
    if _HEADER_CONTROL.search(key):
        return "\n".join(_header_line(line, literals) for line in value.split("\n"))
    match = _MATCH.search(key)
    if match and sensitive(match["name"]):
        return literals.hide_regex(value) if match["kind"] == "regex" else literals.hide_exact(value)
    for tail, hide in (
        ("canary-by-header-value", literals.hide_regex),
        ("canary-by-header-pattern", literals.hide_regex),
    ):
        if key.endswith(tail) and _canary_header_is_sensitive(annotations):
            return _by_line(value, hide)
    return literals.text(value)


def _canary_header_is_sensitive(annotations: Mapping[str, Plain]) -> bool:
    return any(sensitive(str(annotations.get(p + "canary-by-header", ""))) for p in (NGINX, HIGRESS))


def _by_line(value: str, hide: Callable[[str], str]) -> str:
    """Hide what a parser would yield: the text with each line trimmed."""
    return hide("\n".join(line.strip() for line in value.split("\n")))


def _header_line(line: str, literals: Literals) -> str:
    """One ``NAME VALUE`` of a header operation, split at whitespace as Higress does."""
    words = re.split(r"[\t\n\f\r ]+", line.strip(), maxsplit=1)
    if len(words) != 2:
        return literals.text(line)
    name, value = words
    if not sensitive(_bare(name)):
        return literals.text(line)
    hidden = literals.hide(_bare(value.strip()))
    return f"{name} {hidden}" if hidden else line


def _bare(word: str) -> str:
    return word[1:-1] if len(word) >= 2 and word[0] == word[-1] and word[0] in "\"'" else word


def _config(item: Mapping[str, Plain], literals: Literals) -> dict[str, str]:
    """The only text read from a ConfigMap: the certificates by domain, as Higress reads them."""
    data = item.get("data")
    if part(item, "metadata", "name") != _CERTIFICATES or not isinstance(data, dict) or "cert" not in data:
        return {}
    config, why = read_config(data["cert"] if isinstance(data["cert"], str) else "")
    if config is None:
        return {"cert": json.dumps({"void": why})}
    entries = [{k: getattr(e, k) for k in ("domains", "tlssecret", "tlsissuer")} for e in config.credentialconfig]
    issuers = [{"name": i.name, "email": literals.hide(i.email)} for i in config.acmeissuer]
    kept = {k: getattr(config, k) for k in ("automatichttps", "fallbackforinvalidsecret", "renewbeforedays")}
    return {"cert": json.dumps({**kept, "credentialconfig": entries, "acmeissuer": issuers})}
