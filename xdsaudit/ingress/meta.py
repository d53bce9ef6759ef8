"""Metadata of Kubernetes objects, as far as it is read."""

from __future__ import annotations

from msgspec import Struct


class ManagedField(Struct):
    """When and for which subresource a field manager last wrote."""

    time: str | None = None
    subresource: str = ""


class Meta(Struct):
    """The part of metadata that is read."""

    name: str
    namespace: str | None = None
    creationTimestamp: str | None = None  # noqa: N815 - the API's name
    annotations: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    managedFields: list[ManagedField] | None = None  # noqa: N815

    @property
    def changed_at(self) -> str | None:
        """Newest time the spec may have changed: creation and field managers, status left out."""
        times = [self.creationTimestamp or ""]
        times += [m.time or "" for m in self.managedFields or () if m.subresource != "status"]
        return max(times) or None


class Namespaced(Struct):
    """An object of a namespace."""

    metadata: Meta

    @property
    def namespace(self) -> str:
        """Its namespace; an object without one is in ``default``."""
        return self.metadata.namespace or "default"

    @property
    def ref(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.metadata.name}"
