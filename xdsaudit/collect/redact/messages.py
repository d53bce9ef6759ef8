"""Protobuf responses: messages without unknown fields, and credentials hidden in the fields that hold them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from xdsaudit.collect.redact.literals import MATCHER_REGEXES, MATCHER_TEXTS, Literals
from xdsaudit.collect.redact.plugins import clean_config, clean_wasm_plugin
from xdsaudit.model.sensitive import sensitive
from xdsaudit.xds.pool import Message, known_type, message

_UNREAD_BODIES: Final = ("EnvoyFilter",)
_NAMED: Final = ("envoy.config.route.v3.HeaderMatcher", "envoy.config.route.v3.QueryParameterMatcher")


def clean_response(data: bytes, literals: Literals) -> bytes:
    """One DiscoveryResponse, without resources that do not decode; empty for bytes that are not one."""
    try:
        response = message("envoy.service.discovery.v3.DiscoveryResponse").FromString(data)
    except Exception:  # protobuf's own errors share no base class with others
        return b""
    kind = response.type_url.rpartition("/")[2]
    for resource in response.resources:
        cls = known_type(resource.type_url)
        inner = _decoded(cls, resource.value) if cls is not None else None
        if inner is None:
            resource.value = b""
            continue
        if kind in _UNREAD_BODIES:
            inner.body.value = b""
        _clean(inner, literals)
        resource.value = inner.SerializeToString(deterministic=True)
    response.DiscardUnknownFields()
    result: bytes = response.SerializeToString(deterministic=True)
    return result


def _decoded(cls: type[Message], data: bytes) -> Message | None:
    try:
        return cls.FromString(data)
    except Exception:  # as above
        return None


def _clean(message: Message, literals: Literals) -> None:
    """Clean a message in place."""
    message.DiscardUnknownFields()
    name = message.DESCRIPTOR.full_name
    special = _SPECIAL.get(name)
    if special is not None:
        special(message, literals)
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                for key in list(value):
                    _clean(value[key], literals)
        elif field.is_repeated:
            for item in value:
                _clean(item, literals)
        else:
            _clean(value, literals)


def _any(packed: Message, literals: Literals) -> None:
    cls = known_type(packed.type_url)
    inner = _decoded(cls, packed.value) if cls is not None else None
    if inner is None:
        packed.value = b""
        return
    _clean(inner, literals)
    packed.value = inner.SerializeToString(deterministic=True)


def _header_value(header: Message, literals: Literals) -> None:
    header.value = literals.hide(header.value) if sensitive(header.key) else literals.text(header.value)


def _matcher(matcher: Message, literals: Literals) -> None:
    _string_match(
        matcher.string_match if matcher.HasField("string_match") else matcher, literals, sensitive(matcher.name)
    )


def _string_match(match: Message, literals: Literals, hidden: bool) -> None:
    for field, value in match.ListFields():
        if field.name in MATCHER_TEXTS and isinstance(value, str):
            setattr(match, field.name, literals.hide_exact(value) if hidden else literals.text(value))
        elif field.name == "regex" and isinstance(value, str):
            match.regex = literals.hide_regex(value) if hidden else literals.text(value)
        elif field.name in MATCHER_REGEXES:
            value.regex = literals.hide_regex(value.regex) if hidden else literals.text(value.regex)


def _operations(route: Message, literals: Literals) -> None:
    for operations in (route.set, route.add):
        for header in list(operations):  # assigning while iterating would skip some
            value = operations[header]
            operations[header] = literals.hide(value) if sensitive(header) else literals.text(value)


def _http_match(match: Message, literals: Literals) -> None:
    for conditions in (match.headers, match.query_params):
        for name in list(conditions):
            _string_match(conditions[name], literals, sensitive(name))


def _metadata(metadata: Message, literals: Literals) -> None:  # noqa: ARG001 - one signature for all
    """Of metadata only the name of the Istio object behind a route is read."""
    origin = ""
    if "istio" in metadata.filter_metadata and "config" in metadata.filter_metadata["istio"].fields:
        origin = metadata.filter_metadata["istio"].fields["config"].string_value
    metadata.Clear()
    if origin:
        metadata.filter_metadata["istio"].fields["config"].string_value = origin


def _mcp_metadata(metadata: Message, literals: Literals) -> None:  # noqa: ARG001 - one signature for all
    name = metadata.name
    metadata.Clear()
    metadata.name = name


def _struct(struct: Message, literals: Literals) -> None:  # noqa: ARG001 - one signature for all
    struct.Clear()


_SPECIAL: Final[dict[str, Callable[[Message, Literals], None]]] = {
    "google.protobuf.Any": _any,
    "google.protobuf.Struct": _struct,
    "envoy.config.core.v3.HeaderValue": _header_value,
    "envoy.config.core.v3.Metadata": _metadata,
    "envoy.extensions.wasm.v3.PluginConfig": clean_config,
    "istio.extensions.v1alpha1.WasmPlugin": clean_wasm_plugin,
    "istio.mcp.v1alpha1.Metadata": _mcp_metadata,
    "istio.networking.v1alpha3.Headers.HeaderOperations": _operations,
    "istio.networking.v1alpha3.HTTPMatchRequest": _http_match,
    **dict.fromkeys(_NAMED, _matcher),
}
