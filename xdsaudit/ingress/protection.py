"""Protection that an Ingress asks for and does not get: authentication, client certificates, source addresses.

Higress ignores what it does not know and goes on, so that a route stays open whose author wanted it closed. Sources:
higress@v2.0.6 and v2.0.7 pkg/ingress/kube/annotations/auth.go, v2.2.1 downstreamtls.go and ip_access_control.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from xdsaudit.ingress.annotation_table import BY_KEY
from xdsaudit.ingress.annotations import HIGRESS, NGINX, boolean, has, items_or_star, look, namespaced, protects, text
from xdsaudit.ingress.canary import is_canary
from xdsaudit.ingress.effects import cidr
from xdsaudit.ingress.foreign_keys import BY_NGINX_KEY, OTHERS
from xdsaudit.ingress.objects import Ingress, KubeObjects
from xdsaudit.ingress.plugin_objects import WasmPlugin
from xdsaudit.ingress.profile import Profile

Annotations = Mapping[str, str]
_LISTENER_KEYS: Final = ("ssl-cipher", "auth-tls-secret", "tls-min-protocol-version", "tls-max-protocol-version")
_OWN_ROUTES: Final = re.compile(r"\b(?:auth_basic|auth_request|deny|allow|access_by_lua\w*)\b")
_SNIPPETS: Final = ("configuration-snippet", "server-snippet", "location-snippet")
_BASIC: Final = ("auth-type", "auth-secret", "auth-secret-type", "auth-realm")


class Unprotected(NamedTuple):
    """A protection that does not apply.

    Attributes:
        namespace: of the Ingress.
        ingress: its name.
        keys: annotations that ask for it, the most telling first.
        why: why it does not apply, and what does the same.
        host: the host it is missing from; None for all of the Ingress.
        sure: False where it depends on a version that is not known.
        by_value: True where Higress reads the key and can make nothing of the value.
    """

    namespace: str
    ingress: str
    keys: tuple[str, ...]
    why: str
    host: str | None = None
    sure: bool = True
    by_value: bool = False

    @property
    def ref(self) -> str:
        """``namespace/ingress``."""
        return f"{self.namespace}/{self.ingress}"


def unprotected(
    objects: KubeObjects, secrets: Mapping[str, tuple[str, str]], mine: Iterable[Ingress], profile: Profile
) -> Iterator[Unprotected]:
    """Protections that do not apply.

    Args:
        objects: what the API holds.
        secrets: certificate of each host that has TLS.
        mine: the Ingresses that the controller takes.
        profile: of the controller.
    """
    listed = list(mine)
    asking = [i for i in listed if may_be_protected(i)]
    listeners = _listener_owners(listed) if any(has(i.annotations, "auth-tls-secret") for i in asking) else {}
    for ingress in asking:
        name = (ingress.namespace, ingress.metadata.name)
        for keys, why, host, sure in _of(ingress, objects, secrets, listeners, profile):
            guard = guarding(ingress, _name(keys[0]), objects.plugins or (), profile)
            but = f"; WasmPlugin {guard} acts on its routes and may protect them" if guard is not None else ""
            yield Unprotected(*name, keys, f"{why}{but}", host, sure and guard is None)
        listed_addresses = _whitelist(ingress.annotations)
        if listed_addresses is not None:
            yield Unprotected(*name, *listed_addresses, by_value=True)


_GUARDS: Final = (
    ("source-range", re.compile(r"ip-?restriction|black|white|ip-?access")),
    ("modsecurity", re.compile(r"waf")),
    ("owasp", re.compile(r"waf")),
    ("auth-tls", re.compile(r"(?!)")),
    ("", re.compile(r"auth|jwt|oidc|opa|hmac|cas\b|ip-?restriction")),
)
"""What plugins are called that do what an annotation of this kind is for."""


def guarding(ingress: Ingress, key: str, plugins: Iterable[WasmPlugin], profile: Profile) -> str | None:
    """A WasmPlugin that by its name does what the annotation is for, and acts on the routes of the Ingress; None without one.

    Args:
        ingress: the Ingress.
        key: the annotation without its prefix.
        plugins: those that the API holds.
        profile: of the controller, which takes plugins of its own namespace alone.
    """
    words = next(words for part, words in _GUARDS if part in key)
    system = profile.system_namespace
    name = ingress.metadata.name
    route = name if ingress.namespace == system else f"{ingress.namespace}/{name}"
    hosts = {rule.host or "*" for rule in ingress.spec.rules or ()}
    for plugin in plugins:
        spec = plugin.spec
        if plugin.namespace != system or not words.search(f"{plugin.metadata.name} {spec.url}".lower()):
            continue
        everywhere = spec.pluginConfig is not None or (spec.defaultConfig is not None and not spec.defaultConfigDisable)
        mine = (r for r in spec.matchRules or () if not r.configDisable)
        if everywhere or any(route in (r.ingress or ()) or _meets(r.domain or (), hosts) for r in mine):
            return plugin.ref
    return None


def _meets(domains: Iterable[str], hosts: set[str]) -> bool:
    return any(d == h or d == "*" or (d.startswith("*.") and h.endswith(d[1:])) for d in domains for h in hosts)


_Found = tuple[tuple[str, ...], str, str | None, bool]


def may_be_protected(ingress: Ingress) -> bool:
    """Whether an Ingress asks for protection at all."""
    return any(_may_protect(key) for key in ingress.annotations)


def _may_protect(key: str) -> bool:
    if not key.startswith((NGINX, HIGRESS)):
        return False
    name = _name(key)
    return protects(name) or name in _SNIPPETS


def _name(key: str) -> str:
    return key.partition("/")[2]


def _of(
    ingress: Ingress,
    objects: KubeObjects,
    secrets: Mapping[str, tuple[str, str]],
    listeners: Mapping[str, Ingress],
    profile: Profile,
) -> Iterator[_Found]:
    notes = ingress.annotations
    written: dict[str, str] = {}
    for key, value in notes.items():
        if _may_protect(key) and text(value) is not None:
            written.setdefault(_name(key), key)
    yield from _external(written)
    yield from _basic(ingress, written, objects, profile)
    yield from _addresses(written)
    yield from _firewall(notes, written)
    for name in _SNIPPETS:
        if name in written and (said := _OWN_ROUTES.search(notes[written[name]])):
            yield (
                (written[name],),
                f"Higress ignores snippets of nginx's configuration, {said[0]} among them",
                None,
                True,
            )
    if not is_canary(notes):
        yield from _client_certificate(ingress, written, objects, secrets, listeners)


def _external(written: Mapping[str, str]) -> Iterator[_Found]:
    """Everything named auth- that is neither basic authentication nor a client's certificate."""
    names = [n for n in written if n.startswith("auth-") and not n.startswith("auth-tls-") and n not in _BASIC]
    if not names:
        return
    names.sort(key=lambda n: n not in ("auth-url", "auth-signin"))
    known = [n for n in names if n in BY_NGINX_KEY]
    why = (
        f"Higress does not read what asks an authentication service; {BY_NGINX_KEY[known[0]].instead} does"
        if known
        else "Higress knows no such annotation; the plugins jwt-auth, key-auth, basic-auth and ext-auth authenticate"
    )
    yield tuple(written[n] for n in names), why, None, True


def _basic(ingress: Ingress, written: Mapping[str, str], objects: KubeObjects, profile: Profile) -> Iterator[_Found]:
    """``auth-type``: basic authentication by a Secret, until Higress dropped it."""
    if "auth-type" not in written:
        return
    row = BY_KEY["auth-type"]
    keys = tuple(written[n] for n in _BASIC if n in written)
    assert row.until is not None
    until = ".".join(map(str, row.until))
    version = profile.known_version
    if version is not None and version >= row.until:
        why = f"from Higress {until} on auth-type is only logged as an error; the plugin basic-auth does the same"
        yield keys, why, None, True
        return
    kind = look(ingress.annotations, "auth-type", text)
    secret = namespaced(look(ingress.annotations, "auth-secret", text) or "", ingress.namespace)
    if kind != "basic":
        yield keys, f"the only auth-type Higress knew is basic, not {kind}", None, True
    elif secret is None:
        yield keys, "auth-secret names no Secret of users", None, True
    elif objects.secrets is not None and secret not in objects.secrets:
        yield keys, f"its Secret {'/'.join(secret)} does not exist", None, True
    elif version is None:
        yield (
            keys,
            f"from Higress {until} on auth-type is only logged as an error, and the version is not known",
            None,
            False,
        )


def _addresses(written: Mapping[str, str]) -> Iterator[_Found]:
    for name, key in written.items():
        if name.endswith("list-source-range") and name != "whitelist-source-range":
            instead = BY_NGINX_KEY[name].instead if name in BY_NGINX_KEY else OTHERS.get(name, "whitelist-source-range")
            yield (
                (key,),
                f"Higress does not read it, and every address may come in; what does the same is {instead}",
                None,
                True,
            )


def _whitelist(notes: Annotations) -> tuple[tuple[str, ...], str] | None:
    value = look(notes, "whitelist-source-range", text)
    listed = items_or_star(value or "")
    if value is None or "*" in listed or any(map(cidr, listed)):
        return None
    key = next(
        p + "whitelist-source-range" for p in (NGINX, HIGRESS) if text(notes.get(p + "whitelist-source-range", ""))
    )
    return (key,), f"{value!r} holds no address or CIDR range that Higress can read, and every address may come in"


def _firewall(notes: Annotations, written: Mapping[str, str]) -> Iterator[_Found]:
    names = [
        n for n in ("enable-modsecurity", "enable-owasp-core-rules") if n in written and boolean(notes[written[n]])
    ]
    if names:
        why = f"Higress has no ModSecurity; {BY_NGINX_KEY[names[0]].instead} is near to it"
        yield tuple(written[n] for n in names), why, None, True


# --- client certificates ---------------------------------------------------------------------------------------------
def _listener_owners(mine: Iterable[Ingress]) -> dict[str, Ingress]:
    """The Ingress whose annotations shape the listener of each host: the oldest that has any of them (ConvertGateway)."""
    owners: dict[str, Ingress] = {}
    for ingress in sorted(mine, key=lambda i: (i.metadata.creationTimestamp or "", f"{i.metadata.name}.{i.namespace}")):
        if has(ingress.annotations, *_LISTENER_KEYS) and not is_canary(ingress.annotations):
            for rule in ingress.spec.rules or ():
                owners.setdefault(rule.host or "*", ingress)
    return owners


def _client_certificate(
    ingress: Ingress,
    written: Mapping[str, str],
    objects: KubeObjects,
    secrets: Mapping[str, tuple[str, str]],
    listeners: Mapping[str, Ingress],
) -> Iterator[_Found]:
    """``auth-tls-secret``: mutual TLS, where the CA is the host's own Secret or the one named after it."""
    if "auth-tls-secret" not in written or _relaxed(ingress.annotations):
        return
    keys = (
        written["auth-tls-secret"],
        *(k for n, k in written.items() if n.startswith("auth-tls-") and n != "auth-tls-secret"),
    )
    authority = namespaced(look(ingress.annotations, "auth-tls-secret", text) or "", ingress.namespace)
    for host in dict.fromkeys(rule.host or "*" for rule in ingress.spec.rules or ()):
        server = secrets.get(host)
        owner, sure = listeners.get(host, ingress), True
        if server is None:
            why = f"{host} has no TLS, so that no client is asked for a certificate; give it a certificate in spec.tls"
            sure = not (ingress.spec.tls and objects.configmaps is None)  # higress-https may bring one
        elif owner is not ingress and look(owner.annotations, "auth-tls-secret", text) is None:
            why = f"the TLS annotations of {host} are those of the older Ingress {owner.ref}, which has no auth-tls-secret"
        elif authority is None or authority[0] != server[0] or authority[1] not in (server[1], f"{server[1]}-cacert"):
            named = "/".join(authority) if authority else "no Secret"
            where = "/".join(server)
            why = (
                f"mutual TLS stays off for {host}: the CA is {named}, and must be the Secret of the host's certificate, "
                f"{where}, or {where}-cacert"
            )
        elif "auth-tls-match-cn" in written:
            why = f"a client needs a certificate of that CA for {host}, and auth-tls-match-cn, which narrows it, is not read"
            keys = (written["auth-tls-match-cn"],)
        else:
            continue
        yield keys, why, host, sure


def _relaxed(notes: Annotations) -> bool:
    """Whether nginx would not insist on a certificate either."""
    return notes.get(f"{NGINX}auth-tls-verify-client", "on").strip() in ("off", "optional", "optional_no_ca")
