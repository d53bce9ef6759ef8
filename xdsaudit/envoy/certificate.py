"""The certificates a gateway presents: their names and validity. Private keys are never read."""

from __future__ import annotations

import base64
import binascii

from xdsaudit.model.view import Certificate


def read_certificate(inline_bytes: str, inline_string: str = "") -> Certificate | None:
    """The first certificate of a chain: PEM, in base64 (``inline_bytes``) or as text; None when it is not one.

    Names are the DNS names of subjectAltName; the common name is used if there are none.
    """
    try:
        pem = base64.b64decode(inline_bytes, validate=True) if inline_bytes else inline_string.encode()
    except (binascii.Error, ValueError):
        return None
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        certificate = x509.load_pem_x509_certificate(pem)
        try:
            names = certificate.extensions.get_extension_for_class(
                x509.SubjectAlternativeName
            ).value.get_values_for_type(x509.DNSName)
        except x509.ExtensionNotFound:
            names = [str(a.value) for a in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except (ValueError, x509.InvalidVersion, x509.UnsupportedGeneralNameType, x509.DuplicateExtension):
        return None
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return Certificate(tuple(names), begins.isoformat(), ends.isoformat())
