"""Plugins: one plain shape of a WasmPlugin, whichever view it was read from.

Core speaks of WasmPlugins, pilot and Envoy of extension configurations. All end in the same fields, under the names of Envoy's
messages where they exist; a field that a view does not show is absent there. Configurations are compared as JSON: numbers as
Go's protobuf Struct holds them (doubles), keys in any order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from xdsaudit.model.plain import Plain

RULES: Final = "_rules_"
CONDITIONS: Final = ("_match_route_", "_match_service_", "_match_domain_")
TEXT: Final = "type.googleapis.com/google.protobuf.StringValue"
"""The type in which a Wasm plugin's configuration is usually sent."""
WASM: Final = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"
PHASES: Final = ("AUTHN", "AUTHZ", "STATS", "UNSPECIFIED_PHASE")
"""Phases in the order in which their filters run (istio pilot/pkg/networking/core/v1alpha3/listener_builder.go)."""

_PREFIX: Final = "extensions.istio.io/wasmplugin/"
_INTERNAL: Final = "ISTIO_META_"
_CACHED: Final = re.compile(r"/([0-9a-f]{64})/([0-9a-f]{64})\.wasm$")
_DIGEST: Final = re.compile(r"@sha256:([0-9a-f]{64})$")
_IMAGE: Final = re.compile(
    r"^oci://(?P<name>[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::\d+)?/[a-z0-9._/-]+)(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?$"
)


class Settings(NamedTuple):
    """A plugin's configuration, each part as canonical JSON; ``null`` if absent.

    Attributes:
        default: what applies if no match rule does.
        rules: the match rules in order, each with its conditions.
    """

    default: str = "null"
    rules: tuple[str, ...] = ()


class Plugin(NamedTuple):
    """A plugin as one view has it.

    Attributes:
        name: ``namespace.name``, its filter's name.
        fields: what the view shows of it.
        settings: its configuration, None if the view does not show it.
        kind: type URL of the resource with its name.
    """

    name: str
    fields: Mapping[str, Plain]
    settings: Settings | None
    kind: str = WASM


class Slot(NamedTuple):
    """A place in an HTTP filter chain whose configuration is referred to by name.

    Attributes:
        name: the plugin's.
        open: whether requests pass if the configuration is missing.
        resource: the name of the configuration it asks for.
    """

    name: str
    open: bool = False
    resource: str = ""


_ENCODE: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def plugin_name(resource: str) -> str:
    """A plugin's name from that of its filter: newer pilots write a prefix (istio 1.27, with Higress 2.2)."""
    return resource.removeprefix(_PREFIX)


def canonical(value: object) -> str:
    """A configuration as text; equal meanings give equal texts."""
    return _ENCODE(_doubles(value))


def _doubles(value: object) -> object:
    if isinstance(value, str | bool | float):
        return value
    if isinstance(value, dict):
        return {k: _doubles(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_doubles(v) for v in value]
    return _double(value) if isinstance(value, int) else value


def _double(value: int | str) -> float | str:
    """A whole number as a double; one that is too large for any as text, which equals no number."""
    try:
        return float(value)
    except OverflowError:
        return str(value)


def settings_of(config: Mapping[str, object] | None, encode: Callable[[object], str] = canonical) -> Settings:
    """A served configuration, split into its default and its match rules."""
    if not config:
        return Settings()
    rules = config.get(RULES)
    rest = {k: v for k, v in config.items() if k != RULES}
    if not isinstance(rules, list):
        return Settings(encode(dict(config)))
    return Settings(encode(rest) if rest else "null", tuple(encode(r) for r in rules))


@lru_cache(maxsize=512)
def settings_from_text(text: str) -> Settings:
    """The same from the JSON text in an extension configuration; other text is a configuration without rules.

    Pilots and gateways hold the same text of a plugin, so that it is read once for all of them.
    """
    if not text:
        return Settings()
    try:
        config = json.loads(text, parse_int=_double)
        return settings_of(config, _ENCODE) if isinstance(config, dict) else Settings(_ENCODE(config))
    except (ValueError, RecursionError):
        return Settings(canonical(text))


def image_of(url: str) -> str:
    """A plugin's URL as pilot writes it: without a scheme it is an OCI image (istio pilot/pkg/model/extensions.go)."""
    return url if "://" in url else f"oci://{url}"


def environment(values: Mapping[str, str]) -> dict[str, str]:
    """Variables without those that pilot adds for the agent beside Envoy; one of them holds a time and changes by itself."""
    return {k: v for k, v in values.items() if not k.startswith(_INTERNAL)}


def same_code(url: str, sha256: str, file: str) -> bool:
    """Whether a local file may be what the agent beside Envoy made of a URL; True if unknown.

    The agent keeps a module as ``<sha256 of its name>/<checksum>.wasm``, its name being the URL without tag and digest
    (istio pkg/wasm/cache.go getModulePath, moduleNameFromURL).
    """
    import hashlib

    cached = _CACHED.search(file)
    if cached is None:
        return True
    image = _IMAGE.match(image_of(url))
    name = f"oci://{image['name']}" if image else url if url.startswith(("http://", "https://")) else None
    if name is not None and hashlib.sha256(name.encode()).hexdigest() != cached[1]:
        return False
    asked = _DIGEST.search(url)
    digest = sha256 or (asked[1] if asked else "")
    return not re.fullmatch("[0-9a-f]{64}", digest) or digest == cached[2]
