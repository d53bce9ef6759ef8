"""A list of Kubernetes objects that remembers where each of them ends: whoever reads it need not take it apart again."""

from __future__ import annotations

from collections.abc import Iterable


class KubeList(bytes):
    """A list as the API writes it.

    Attributes:
        items: each object as it came, in order; one that has not changed since the last list may be the same object as there.
    """

    items: tuple[bytes, ...]

    @classmethod
    def of(cls, kind: str, items: Iterable[bytes]) -> KubeList:
        """The list of these objects.

        Args:
            kind: of the objects, such as ``Ingress``.
            items: each as JSON.
        """
        parts = tuple(items)
        made = cls(b'{"apiVersion":"v1","kind":"%sList","items":[%s]}' % (kind.encode(), b",".join(parts)))
        made.items = parts
        return made
