"""Which hosts have HTTPS, and by whose Secret (higress@v2.0.1 ingressv1/controller.go ConvertGateway, pkg/cert/config.go)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from xdsaudit.ingress.objects import Ingress, KubeObjects
from xdsaudit.ingress.profile import Profile
from xdsaudit.model.plain import as_list

_CONFIG = "higress-https"


class Certificates:
    """The ConfigMap ``higress-https``: secrets by domain for hosts that no tls entry names."""

    def __init__(self, objects: KubeObjects, profile: Profile) -> None:
        """Read the ConfigMap; a missing or unreadable one gives no certificate, as in Higress."""
        self._objects = objects
        self._namespace = profile.system_namespace
        self._entries: list[tuple[list[str], str]] = []
        self._fallback = False
        self.invalid: str | None = None
        config_map = (objects.configmaps or {}).get((self._namespace, _CONFIG))
        if config_map is None or not config_map.data:
            return
        config, self.invalid = read_config(config_map.data.get("cert"))
        if config is None:
            return
        self._fallback = config.fallbackforinvalidsecret
        self._entries = [([d.lower() for d in e.domains], e.tlssecret) for e in config.credentialconfig]

    def secret_of(self, ingress: Ingress, host: str) -> tuple[str, str] | None:
        """Namespace and name of the Secret this Ingress brings for this host; None means HTTP only."""
        if not ingress.spec.tls:
            return None
        name = next((t.secretName for t in ingress.spec.tls if host in (t.hosts or ["*"])), "").strip()
        if name:
            key = (ingress.namespace, name)
            absent = self._objects.secrets is not None and key not in self._objects.secrets
            return (self._by_domain(host) or key) if self._fallback and absent else key
        return self._by_domain(host)

    def _by_domain(self, host: str) -> tuple[str, str] | None:
        for domains, secret in self._entries:
            if any(_covers(d, host.lower()) for d in domains):
                namespace, slash, name = secret.partition("/")
                return (namespace, name) if slash else (self._namespace, secret)
        return None


_EMAIL: Final = re.compile(r"[a-zA-Z0-9._%+\-]+@[a-zA-Z0-9.\-]+\.[a-zA-Z]{2,}|redacted:[0-9a-f]{12}")


class Credential(Struct):
    """An entry of ``credentialConfig``: the Secret of some domains."""

    domains: list[str] = []
    tlsissuer: str = ""
    tlssecret: str = ""
    cacertsecret: str = ""


class Issuer(Struct):
    """An entry of ``acmeIssuer``."""

    name: str = ""
    email: str = ""
    ak: str = ""
    sk: str = ""


class Https(Struct):
    """The text of ``higress-https``, its keys in lower case."""

    automatichttps: bool = True
    fallbackforinvalidsecret: bool = False
    renewbeforedays: int = 30
    version: str = ""
    credentialconfig: list[Credential] = []
    acmeissuer: list[Issuer] = msgspec.field(default_factory=lambda: [Issuer("letsencrypt")])


def read_config(text: str | None) -> tuple[Https | None, str | None]:
    """The text of ``higress-https`` as Higress reads it: keys in lower case with their defaults, or why all of it is void.

    higress@v2.0.1 pkg/cert/config.go ParseConfigFromConfigmap and Validate: one bad entry voids the whole.
    """
    if text is None:
        return None, "it has no key cert"
    import yaml

    try:
        raw = yaml.safe_load(text)
        if isinstance(raw, dict) and set(raw) == {"void"}:  # what a redacted snapshot keeps of a text that is void
            return None, str(raw["void"])
        values = _shaped(raw if raw is not None else {}, Https, "it")
        for key, entry, what in (
            ("credentialconfig", Credential, "an entry of credentialConfig"),
            ("acmeissuer", Issuer, "an entry of acmeIssuer"),
        ):
            if key in values:
                values[key] = [_shaped(each, entry, what) for each in as_list(values[key])]
        config = msgspec.convert(values, Https)
        why = _flaw(config)
    except msgspec.ValidationError:  # all but the items of a list were looked at before
        return None, "it is not what Higress reads: a domain is not text"
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        said = getattr(error, "problem", None) or str(error).splitlines()[0]
        return None, f"it is not what Higress reads{where}: {said}"
    return (None, why) if why else (config, None)


def _shaped(raw: object, shape: type[Struct], what: str) -> dict[str, object]:
    """The keys of a mapping that count; Go's JSON reader knows keys in any case, and takes null for absent."""
    if not isinstance(raw, dict):
        raise ValueError(f"{what} is not a mapping")
    kinds = {
        field.name: field.type if field.type in (bool, int, str) else list for field in msgspec.structs.fields(shape)
    }
    values: dict[str, object] = {}
    for key, value in raw.items():
        name = str(key).lower()
        if name not in kinds or value is None:
            continue
        kind = kinds[name]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ValueError(f"{key} is {type(value).__name__}, and must be {kind.__name__}")
        values[name] = value
    return values


def _flaw(config: Https) -> str | None:
    """What Higress finds wrong with a configuration, or None."""
    if config.automatichttps:
        if not config.acmeissuer:
            return "automaticHttps is on, and there is no acmeIssuer"
        for issuer in config.acmeissuer:
            if issuer.name != "letsencrypt":
                return f"the acmeIssuer {issuer.name!r} is not supported"
            if not _EMAIL.fullmatch(issuer.email):
                return "automaticHttps is on, and the e-mail of acmeIssuer is absent or not valid"
    for entry in config.credentialconfig:
        named = entry.tlssecret
        if not entry.domains:
            return f"the entry of Secret {named!r} has no domains"
        if not named:
            return f"the entry of {', '.join(entry.domains)} has no tlsSecret"
        if named.count("/") > 1 or not named.strip("/"):
            return f"the tlsSecret {named!r} is not [namespace/]name"
        if entry.tlsissuer not in ("", "letsencrypt"):
            return f"the tlsIssuer {entry.tlsissuer!r} is not supported"
        if entry.tlsissuer and len(entry.domains) > 1:
            return f"letsencrypt takes one domain, and the entry of Secret {named!r} has {len(entry.domains)}"
    if not 0 < config.renewbeforedays < 90:
        return f"renewBeforeDays is {config.renewbeforedays}, and must be between 1 and 89"
    return None


def _covers(domain: str, host: str) -> bool:
    if domain == host or domain == "*":
        return True
    return domain.startswith("*.") and host.endswith(domain[1:]) and host != domain[1:]


def first_secrets(hosts: Iterable[tuple[Ingress, str]], certificates: Certificates) -> dict[str, tuple[str, str]]:
    """Secret by host: the oldest Ingress that brings one wins."""
    secrets: dict[str, tuple[str, str]] = {}
    for ingress, host in hosts:
        if host not in secrets:
            secret = certificates.secret_of(ingress, host)
            if secret is not None:
                secrets[host] = secret
    return secrets
