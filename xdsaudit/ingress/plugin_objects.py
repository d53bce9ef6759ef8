"""WasmPlugins as the Kubernetes API holds them (extensions.higress.io/v1alpha1; api/extensions/v1alpha1/wasmplugin.proto)."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from xdsaudit.ingress.meta import Namespaced

Config = dict[str, object]


class MatchRule(Struct):
    """Conditions, and the configuration that holds where they are met."""

    ingress: list[str] | None = None
    domain: list[str] | None = None
    service: list[str] | None = None
    config: Config | None = None
    configDisable: bool | None = None  # noqa: N815 - the API's name, as below
    routeType: str | int | None = None  # noqa: N815


class EnvVar(Struct):
    """A variable of the plugin's virtual machine."""

    name: str = ""
    value: str = ""
    valueFrom: str | int | None = None  # noqa: N815


class VmConfig(Struct):
    """The plugin's virtual machine."""

    env: list[EnvVar] | None = None


class PluginSpec(Struct):
    """What a WasmPlugin asks for."""

    url: str = ""
    sha256: str = ""
    imagePullPolicy: str | int | None = None  # noqa: N815
    pluginConfig: Config | None = None  # noqa: N815
    pluginName: str = ""  # noqa: N815
    phase: str | int | None = None
    priority: int | None = None
    failStrategy: str | int | None = None  # noqa: N815
    vmConfig: VmConfig | None = None  # noqa: N815
    defaultConfig: Config | None = None  # noqa: N815
    defaultConfigDisable: bool | None = None  # noqa: N815
    matchRules: list[MatchRule] | None = None  # noqa: N815


class WasmPlugin(Namespaced):
    """A WasmPlugin."""

    spec: PluginSpec = msgspec.field(default_factory=PluginSpec)
    kind: str = "WasmPlugin"
