"""Manifests (YAML or JSON, files, directories, standard input) to the Kubernetes lists of a snapshot."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from xdsaudit.errors import InputError
from xdsaudit.model.verdict import Origin, Origins

_PLURALS: Final = {
    "Ingress": "ingresses",
    "IngressClass": "ingressclasses",
    "Service": "services",
    "EndpointSlice": "endpointslices",
    "McpBridge": "mcpbridges",
    "ConfigMap": "configmaps",
    "Secret": "secrets",
    "WasmPlugin": "wasmplugins",
}
_OTHERS: Final = {"WasmPlugin": "extensions.higress.io/v1alpha1"}
"""Kinds of that name in other groups are other kinds."""
_VERSIONS: Final = {"Ingress": "networking.k8s.io/v1"}


class Manifests(NamedTuple):
    """What manifests hold.

    Attributes:
        lists: Kubernetes lists by plural.
        origins: files and lines of Ingresses and their paths; of WasmPlugins under ``wasmplugin/namespace/name``.
        order: position of each object, by kind, namespace and name: what is applied earlier counts less.
    """

    lists: dict[str, bytes]
    origins: Origins
    order: dict[tuple[str, str, str], int]

    @property
    def refs(self) -> frozenset[str]:
        """The Ingresses, each ``namespace/name``."""
        return frozenset(ref for ref, host, _ in self.origins if not host and ref.count("/") == 1)

    @property
    def plugins(self) -> frozenset[str]:
        """The WasmPlugins, each ``namespace/name``."""
        named = (ref for ref, _, _ in self.origins if ref.startswith("wasmplugin/"))
        return frozenset(ref.partition("/")[2] for ref in named)


def read_manifests(places: Iterable[str], default_namespace: str = "default") -> Manifests:
    """Lists by plural of every object in these manifests; ``-`` is standard input.

    Values of Secrets are dropped while reading. Kinds that were not given at all are absent, so that what depends on them is
    unknown rather than missing.

    Raises:
        InputError: a path does not exist, a file is not YAML, or an object is not what it should be; the message names file and line.
    """
    places = tuple(places)
    objects: dict[tuple[str, str, str], dict[str, Any]] = {}
    origins: dict[tuple[str, str, str], Origin] = {}
    order: dict[tuple[str, str, str], int] = {}
    count = 0
    for place in places:
        for source, node, found in _documents(place):
            count += 1
            kind, item = _checked(found, f"-f {source}, line {_line(node)}", default_namespace)
            if kind is None:
                continue
            meta = item["metadata"]
            key = (kind, meta["namespace"], meta["name"])
            objects[key], order[key] = item, count
            if kind == "WasmPlugin":
                origins[f"wasmplugin/{meta['namespace']}/{meta['name']}", "", ""] = Origin(source, _line(node))
            if kind == "Ingress":
                origins.update(_origins(f"{meta['namespace']}/{meta['name']}", source, node))
    lists: dict[str, list[dict[str, Any]]] = {}
    for (kind, _, _), item in objects.items():
        lists.setdefault(_PLURALS[kind], []).append(item)
    if not lists.keys() & {"ingresses", "wasmplugins"}:
        raise InputError(
            f"-f {', '.join(places)}: no Ingress among {count} documents, and no WasmPlugin; give the manifests of the Ingresses too"
        )
    return Manifests({plural: _encode(plural, items) for plural, items in lists.items()}, origins, order)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _child(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((v for k, v in node.value if isinstance(k, yaml.ScalarNode) and k.value == key), None)


def _items(node: yaml.Node | None) -> list[yaml.Node]:
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _text(node: yaml.Node | None, default: str) -> str:
    return node.value or default if isinstance(node, yaml.ScalarNode) else default


def _origins(ref: str, source: str, node: yaml.Node) -> Iterator[tuple[tuple[str, str, str], Origin]]:
    """Lines of an Ingress and of each of its paths."""
    yield (ref, "", ""), Origin(source, _line(node))
    spec = _child(node, "spec")
    for rule in _items(_child(spec, "rules")):
        host = _text(_child(rule, "host"), "*")
        for path in _items(_child(_child(rule, "http"), "paths")):
            yield (ref, host, _text(_child(path, "path"), "/")), Origin(source, _line(path))


def _encode(plural: str, items: list[dict[str, Any]]) -> bytes:
    kind = next(k for k, p in _PLURALS.items() if p == plural)
    return json.dumps({"apiVersion": "v1", "kind": f"{kind}List", "items": items}, default=str).encode()


def files_of(path: Path) -> list[Path]:
    """A file, or the manifests in a folder, in order.

    Raises:
        InputError: there is none.
    """
    if not path.exists():
        raise InputError(f"-f {path}: no such file or directory; check the path")
    files = sorted(p for p in path.rglob("*") if p.suffix in (".yaml", ".yml", ".json")) if path.is_dir() else [path]
    if not files:
        raise InputError(f"-f {path}: holds no .yaml, .yml or .json file; check the path")
    return files


def _documents(place: str) -> Iterator[tuple[str, yaml.Node, Any]]:
    if place == "-":
        yield from _parse("standard input", sys.stdin.buffer.read())
        return
    for file in files_of(Path(place)):
        try:
            data = file.read_bytes()
        except OSError as error:
            raise InputError(f"-f {file}: {error.strerror or error}; check its permissions") from error
        yield from _parse(str(file), data)


def _parse(source: str, data: bytes) -> Iterator[tuple[str, yaml.Node, Any]]:
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(data)
        while loader.check_node():
            node: Any = loader.get_node()
            document = loader.construct_document(node)
            if document is None:
                continue
            if (
                isinstance(document, dict)
                and str(document.get("kind", "")).endswith("List")
                and isinstance(document.get("items"), list)
            ):
                inner = document["kind"].removesuffix("List")
                for inside, item in zip(_items(_child(node, "items")), document["items"], strict=False):
                    bare = isinstance(item, dict) and inner and "kind" not in item
                    yield source, inside, {"kind": inner, **item} if bare else item
            else:
                yield source, node, document
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        said = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(f"-f {source}{where}: is not YAML ({said}); correct it") from error
    except RecursionError as error:
        raise InputError(f"-f {source}: is nested too deeply; correct it") from error


def _checked(found: Any, where: str, namespace: str) -> tuple[str | None, dict[str, Any]]:
    if not isinstance(found, dict) or not isinstance(found.get("kind"), str):
        raise InputError(f"{where}: is no Kubernetes object (it has no kind); correct it or leave the file out")
    kind = found["kind"]
    if kind not in _PLURALS:
        return None, {}  # other kinds may stand in the same folder
    version = str(found.get("apiVersion", ""))
    if kind in _OTHERS and version != _OTHERS[kind]:
        return None, {}
    if kind in _VERSIONS and version != _VERSIONS[kind]:
        raise InputError(f"{where}: {kind} of {version or 'no apiVersion'}; this version reads {_VERSIONS[kind]}")
    meta = found.get("metadata")
    if not isinstance(meta, dict) or not isinstance(meta.get("name"), str):
        raise InputError(f"{where}: {kind} has no metadata.name; correct it")
    cluster_wide = kind == "IngressClass"
    meta.setdefault("namespace", "" if cluster_wide else namespace)
    if kind == "Secret":
        found = {**found, "data": dict.fromkeys(found.get("data") or {}, ""), "stringData": {}}
    return kind, found
