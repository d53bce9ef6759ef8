"""Writes xdsaudit/ingress/kube_fields.json: the fields of the Kubernetes kinds that are read, from the kubernetes package's models.

    python tools/build_kube_fields.py

For each type: field → its type (``string``, ``integer``, ``boolean``, ``any``, another type, ``[T]`` for a list, ``{T}`` for a map).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from kubernetes.client import models

TARGET = Path(__file__).parents[1] / "xdsaudit" / "ingress" / "kube_fields.json"
KINDS = ("Ingress", "IngressClass", "Service", "ConfigMap", "Secret")
SIMPLE = {
    "str": "string",
    "int": "integer",
    "bool": "boolean",
    "datetime": "string",
    "bytes": "string",
    "object": "any",
}


def type_of(text: str) -> str:
    """The type as the file writes it."""
    if found := re.fullmatch(r"List\[(.*)\]", text):
        return f"[{type_of(found[1])}]"
    if found := re.fullmatch(r"Dict\[str, (.*)\]", text):
        return f"{{{type_of(found[1])}}}"
    return SIMPLE.get(text) or text.removeprefix("V1")


def collect(name: str, into: dict[str, dict[str, str]]) -> None:
    """Add a type and those that it holds."""
    model: Any = getattr(models, f"V1{name}", None)
    if name in into or model is None:
        return
    into[name] = {model.attribute_map[field]: type_of(text) for field, text in sorted(model.openapi_types.items())}
    for text in into[name].values():
        collect(text.strip("[]{}"), into)


def main() -> None:
    """Write the file; git shows what a newer package changes."""
    found: dict[str, dict[str, str]] = {}
    for kind in KINDS:
        collect(kind, found)
    TARGET.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
