"""Paths: the effective type of a path, its matchers, and what of an Ingress's annotations belongs to a rule's key.

higress@v2.0.1 pkg/ingress/kube/ingressv1/controller.go ConvertHTTPRoute, generateHttpMatches, createRuleKey. Nothing here
knows another Ingress.
"""

from __future__ import annotations

from typing import TypeAlias

from xdsaudit.ingress.annotations import HIGRESS, MATCH_MARKERS
from xdsaudit.ingress.effects import Effects
from xdsaudit.ingress.http_route import PathType
from xdsaudit.ingress.objects import Path
from xdsaudit.model.route import MatchKey, simple_key

Conditions: TypeAlias = tuple[str | tuple[tuple[str, str], ...], ...]
"""The methods that annotations ask for as they are written, then for each kind of match annotation its keys and values."""


def _trim(path: str) -> str:
    return path[:-1] if path.endswith("/") and path != "/" else path


def conditions_of(annotations: dict[str, str]) -> Conditions:
    """The part of a rule's key that its annotations make: raw texts, sorted (createRuleKey)."""
    if not annotations:
        return "", (), (), ()
    by_marker: list[tuple[tuple[str, str], ...]] = []
    for marker in MATCH_MARKERS:
        pairs = []
        for key, value in annotations.items():
            at = key.find(marker)
            if at >= len(HIGRESS) and not key.endswith(marker):
                pairs.append((key[len(HIGRESS) : at] + key[at + len(marker) + 1 :], value))
        by_marker.append(tuple(sorted(pairs)))
    return annotations.get(f"{HIGRESS}match-method", ""), *by_marker


def effective(effects: Effects, path: Path) -> tuple[PathType, str, str]:
    """Effective path type of a path, its text as it counts for keys and order, and as its matchers are made of it."""
    written = path.path or "/"
    if effects.as_declared and path.pathType:
        return ("exact", written, written) if path.pathType == "Exact" else ("prefix", _trim(written), written)
    kind = effects.path_type(written, path.pathType)
    if kind in ("prefixRegex", "fullPathRegex"):
        return kind, written, written
    if not path.pathType and not effects.rewrites:
        for tail in (".*", "/*"):
            written = written.removesuffix(tail)
    return kind, _trim(written) if kind == "prefix" else written, written


def uris_of(kind: PathType, written: str) -> tuple[MatchKey, ...]:
    """Path matchers of an effective path type, in order (generateHttpMatches)."""
    if kind == "exact":
        return (simple_key("path", written),)
    if kind == "prefixRegex":
        return (simple_key("safe_regex", f"{written}.*"),)
    if kind == "fullPathRegex":
        return (simple_key("safe_regex", f"{written}$"),)
    if written == "/":
        return (simple_key("prefix", "/"),)
    trimmed = written.removesuffix("/")  # "//" is "/" here too, but not for the matchers
    return simple_key("path", trimmed), simple_key("prefix", f"{trimmed}/")
