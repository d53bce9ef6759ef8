"""Messages to plain data: what proto3 JSON would give, without failing on what the pool does not know.

``MessageToDict`` raises for the whole message on one unknown Any, which any Wasm filter is. Here an unknown Any keeps its
type, and a digest of its bytes (and of unknown fields) goes into ``opaque``, so that two protobuf views still compare.
"""

from __future__ import annotations

import base64
import hashlib

from google.protobuf import unknown_fields
from google.protobuf.descriptor import FieldDescriptor

from xdsaudit.model.plain import Plain
from xdsaudit.xds.pool import Message, known_type

_WRAPPERS = frozenset(
    f"google.protobuf.{t}Value"
    for t in ("Bool", "Int32", "Int64", "UInt32", "UInt64", "Float", "Double", "String", "Bytes")
)
_LONG = frozenset({3, 4, 6, 16, 18})


def duration(seconds: int, nanos: int) -> str:
    """A Duration as proto3 JSON writes it: ``45s``, ``0.250s``."""
    if not nanos:
        return f"{seconds}s"
    sign = "-" if seconds < 0 or nanos < 0 else ""
    digits = f"{abs(nanos):09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{sign}{abs(seconds)}.{digits}s"


def digest(data: bytes) -> str:
    """Short fingerprint of bytes that are not decoded."""
    return hashlib.sha256(data).hexdigest()[:16]


def enum_name(holder: Message, field: str) -> str:
    """Name of the value of an enum field; its number as text where the pool does not know it."""
    value = getattr(holder, field)
    known = holder.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number.get(value)
    return known.name if known is not None else str(value)


def to_plain(message: Message, opaque: list[str]) -> Plain:
    """Plain data of a message; digests of undecodable parts are appended to ``opaque``."""
    name = message.DESCRIPTOR.full_name
    if name in _WRAPPERS:
        value = message.value
        return base64.b64encode(value).decode() if isinstance(value, bytes) else value
    if name == "google.protobuf.Duration":
        return duration(message.seconds, message.nanos)
    if name == "google.protobuf.Any":
        return any_to_plain(message.type_url, message.value, opaque)
    if name in ("google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"):
        return digest(message.SerializeToString(deterministic=True))
    opaque.extend(
        f"{name}#{unknown.field_number}={digest(repr(unknown.data).encode())}"
        for unknown in unknown_fields.UnknownFieldSet(message)  # type: ignore[attr-defined]
    )
    return {field.name: _value(field, value, opaque) for field, value in message.ListFields()}


def any_to_plain(type_url: str, value: bytes, opaque: list[str]) -> dict[str, Plain]:
    """Plain data of an Any; a type the pool does not know, or bytes that do not decode, keep the type alone."""
    cls = known_type(type_url)
    if cls is not None:
        try:
            inner = cls.FromString(value)
        except Exception as error:
            opaque.append(f"{type_url}!{type(error).__name__}")
        else:
            plain = to_plain(inner, opaque)
            return {"@type": type_url, **plain} if isinstance(plain, dict) else {"@type": type_url, "value": plain}
    opaque.append(f"{type_url}={digest(value)}")
    return {"@type": type_url}


def _value(field: FieldDescriptor, value: Message, opaque: list[str]) -> Plain:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        entry = field.message_type.fields_by_name["value"]
        return {str(k): _scalar(entry, value[k], opaque) for k in value}
    if field.is_repeated:
        return [_scalar(field, item, opaque) for item in value]
    return _scalar(field, value, opaque)


def _scalar(field: FieldDescriptor, value: Message, opaque: list[str]) -> Plain:
    if field.message_type is not None:
        return to_plain(value, opaque)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known is not None else value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value) if field.type in _LONG else value
