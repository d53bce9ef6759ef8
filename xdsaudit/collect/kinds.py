"""The kinds of objects that are listed of a cluster. Must not know how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from xdsaudit.errors import ReadError


@dataclass(frozen=True)
class Kind:
    """Where a kind is listed: its group path, plural, singular name, and whether only its metadata is read.

    ``optional``: a cluster without the kind, or an account that may not list it, is not a gap; what depends on it is not judged.
    """

    prefix: str
    plural: str
    kind: str
    metadata_only: bool = False
    optional: bool = False

    def path(self, namespace: str | None) -> str:
        """Path of its list, for one namespace or all."""
        return f"{self.prefix}{f'/namespaces/{quote(namespace)}' if namespace else ''}/{self.plural}"

    @property
    def group(self) -> str:
        """API group, "" for the core group."""
        return self.prefix.split("/")[2] if self.prefix.startswith("/apis/") else ""


LISTED: Final = (
    Kind("/apis/networking.k8s.io/v1", "ingresses", "Ingress"),
    Kind("/apis/networking.k8s.io/v1", "ingressclasses", "IngressClass"),
    Kind("/api/v1", "services", "Service"),
    Kind("/apis/discovery.k8s.io/v1", "endpointslices", "EndpointSlice"),
    Kind("/apis/networking.higress.io/v1", "mcpbridges", "McpBridge"),
    Kind("/api/v1", "secrets", "Secret", metadata_only=True),
    Kind("/apis/extensions.higress.io/v1alpha1", "wasmplugins", "WasmPlugin", optional=True),
)


def left_alone(kind: Kind, error: Exception) -> bool:
    """Whether an optional kind is absent (404) or hidden from this account (403)."""
    return kind.optional and isinstance(error, ReadError) and error.status in (403, 404)
