"""Builders of Kubernetes objects, as plain dictionaries for ``json.dumps`` and ``kubectl``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]
"""A document that a test goes on to take apart or change at any depth, whose types would only be in the way."""
PathSpec = str | tuple[str, str]


def ingress(
    name: str,
    host: str | None,
    *paths: PathSpec,
    namespace: str = "default",
    service: str = "web",
    port: int | str = 80,
    annotations: Mapping[str, str] | None = None,
    tls: str | None = None,
    created: str = "2026-01-01T00:00:00Z",
    ingress_class: str | None = "higress",
) -> Json:
    """An Ingress with one rule.

    Args:
        name: the Ingress's name.
        host: the rule's host, or None.
        *paths: each a path of type Prefix, or (path, type).
        namespace: the Ingress's namespace.
        service: the backend of every path.
        port: the Service port's number or name.
        annotations: the Ingress's annotations.
        tls: the Secret with the host's certificate.
        created: creationTimestamp, which decides conflicts.
        ingress_class: spec.ingressClassName, or None.

    Example:
        >>> ingress("a", "foo.test", "/api")["spec"]["rules"][0]["http"]["paths"][0]["pathType"]
        'Prefix'
    """
    backend = {"service": {"name": service, "port": {"number": port} if isinstance(port, int) else {"name": port}}}
    path_types = [(p, "Prefix") if isinstance(p, str) else p for p in (paths or ("/",))]
    rule: Json = {"http": {"paths": [{"path": p, "pathType": t, "backend": backend} for p, t in path_types]}}
    if host is not None:
        rule["host"] = host
    spec: Json = {"rules": [rule]}
    if ingress_class is not None:
        spec["ingressClassName"] = ingress_class
    if tls is not None:
        spec["tls"] = [{"hosts": [] if host is None else [host], "secretName": tls}]
    meta: Json = {"name": name, "namespace": namespace, "creationTimestamp": created}
    if annotations:
        meta["annotations"] = dict(annotations)
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": meta, "spec": spec}


def service(name: str, *ports: tuple[str, int], namespace: str = "default") -> Json:
    """A Service with named ports; the default is ``("http", 80)``."""
    entries = [{"name": n, "port": p} for n, p in (ports or (("http", 80),))]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"ports": entries},
    }


def ingress_list(items: Iterable[Json], kind: str = "Ingress") -> bytes:
    """A Kubernetes list of objects as the API writes it, for ``Snapshot.kube``."""
    return json.dumps({"apiVersion": "v1", "kind": f"{kind}List", "items": list(items)}).encode()
