"""Certificates that a gateway waits for, or shows although they do not hold."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from xdsaudit.audit.causes.cause import Cause, Fault
from xdsaudit.audit.causes.commands import NEW_SECRET, RENEW_SECRET
from xdsaudit.model.verdict import Severity

if TYPE_CHECKING:
    from xdsaudit.model.view import Certificate, View

CERTIFICATE_WARMING = Cause(
    code="XA605",
    slug="certificate-warming",
    severity=Severity.ERROR,
    title="The host's certificate never arrived",
    meaning="The filter chain waits for a Secret: HTTPS requests fail in the handshake, while the routes are right.",
    remedy="Create the Secret in the Ingress's namespace, with keys tls.crt and tls.key. Pilot hands certificates only to a gateway that connects over TLS.",
    shows="HTTPS of one host fails in the handshake; HTTP works.",
    prevention="Create the Secret before the Ingress; connect gateways over TLS.",
    issues=("envoyproxy/gateway#9519",),
    fix=(NEW_SECRET,),
)
CERTIFICATE_EXPIRED = Cause(
    code="XA607",
    slug="certificate-expired",
    severity=Severity.ERROR,
    title="The certificate has expired or is not valid yet",
    meaning="The gateway presents a certificate that has expired or is not valid yet.",
    remedy="Renew the certificate in the Secret that is named; the gateway takes it without a restart.",
    shows="Clients report an expired certificate.",
    prevention="Renew certificates by a controller (cert-manager), and audit daily.",
    fix=(RENEW_SECRET,),
)
CERTIFICATE_MISMATCH = Cause(
    code="XA608",
    slug="certificate-mismatch",
    severity=Severity.ERROR,
    title="The certificate is for other hosts",
    meaning="The gateway presents a certificate whose names do not cover the host: clients that verify it refuse the connection.",
    remedy="Put a certificate for this host into the Secret, or name another Secret in spec.tls.",
    shows="Clients report that the name does not match.",
    prevention="xdsaudit diff after each change of certificates.",
    fix=(RENEW_SECRET,),
)


def why(view: View, host: str, secrets: tuple[str, ...], now: datetime | None) -> Fault | None:
    """What is wrong with the certificates of a host that a gateway shows; one good one among several is enough."""
    waiting = [s for s in secrets if s in (view.warming_secrets or ())]
    if waiting:
        return Fault(CERTIFICATE_WARMING, f"{view.label}: the certificate {waiting[0]} of {host} never arrived")
    shown = [(s, c) for s in secrets if (c := (view.certificates or {}).get(s)) is not None]
    if not shown or len(shown) < len(secrets):
        return None
    problems = [_flaw(view, host, name, certificate, now) for name, certificate in shown]
    return None if None in problems else problems[0]


def _flaw(view: View, host: str, name: str, certificate: Certificate, now: datetime | None) -> Fault | None:
    if now is not None:
        for bound, wrong, said in (
            (certificate.ends, now > datetime.fromisoformat(certificate.ends), "ended"),
            (certificate.begins, now < datetime.fromisoformat(certificate.begins), "only begins"),
        ):
            if wrong:
                text = f"{view.label}: the certificate {name} of {host} {said} at {bound}"
                return Fault(CERTIFICATE_EXPIRED, text)
    if host != "*" and certificate.names and not certificate.covers(host):
        names = ", ".join(certificate.names[:5])
        return Fault(CERTIFICATE_MISMATCH, f"{view.label}: the certificate {name} shown for {host} is for {names}")
    return None
