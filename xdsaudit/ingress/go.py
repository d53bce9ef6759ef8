"""Go's own reading of texts: the parts of its standard library that Higress hands annotation values to.

Each function answers as its namesake in Go does, in place of Python's, which differs: ``str.strip`` takes control
characters that ``strings.TrimSpace`` leaves, ``int`` takes ``1_0`` and ``٣``, ``urlsplit`` takes nearly anything,
``ipaddress`` takes network masks. None stands for Go's error. Nothing here knows an annotation.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NamedTuple

WHITE: Final = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
"""What ``unicode.IsSpace`` says yes to."""
_FIELDS: Final = re.compile(f"[{WHITE}]+")
_BLANKS: Final = re.compile(r"[\t\n\f\r ]+")
_NUMBER: Final = re.compile(r"([+-]?)0*([0-9]+)\Z")


# --- strings ---------------------------------------------------------------------------------------------------------
def trim_space(text: str) -> str:
    """``strings.TrimSpace``."""
    return text.strip(WHITE)


def fields(text: str) -> list[str]:
    """``strings.Fields``."""
    return [part for part in _FIELDS.split(text) if part]


def split_blanks(text: str, limit: int) -> list[str]:
    r"""``regexp.MustCompile(`\s+`).Split(text, limit)``: only the five ASCII blanks."""
    return _BLANKS.split(text, limit - 1)


def to_upper(text: str) -> str:
    """``strings.ToUpper``: rune by rune, so that none becomes two."""
    return text.upper() if text.isascii() else "".join(u if len(u := c.upper()) == 1 else c for c in text)


# --- strconv ---------------------------------------------------------------------------------------------------------
def parse_int(text: str, bits: int = 64) -> int | None:
    """``strconv.ParseInt(text, 10, bits)``: ASCII digits after a sign, no spaces, no units."""
    match = _NUMBER.match(text)
    if not match or len(match[2]) > 20:
        return None
    value = int(match[1] + match[2])
    return value if -(1 << bits - 1) <= value < 1 << bits - 1 else None


def parse_uint(text: str, bits: int = 64) -> int | None:
    """``strconv.ParseUint(text, 10, bits)``: no sign at all."""
    match = _NUMBER.match(text)
    if not match or match[1] or len(match[2]) > 20:
        return None
    value = int(match[2])
    return value if value < 1 << bits else None


def atoi(text: str) -> int | None:
    """``strconv.Atoi`` of a 64-bit machine."""
    return parse_int(text)


def parse_bool(text: str) -> bool | None:
    """``strconv.ParseBool``."""
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    return False if text in ("0", "f", "F", "FALSE", "false", "False") else None


def uint32(value: int) -> int:
    """Conversion of an integer to ``uint32``: what is beyond is cut off."""
    return value & 0xFFFFFFFF


def int32(value: int) -> int:
    """Conversion of an integer to ``int32``: what is beyond is cut off."""
    return (value + 0x80000000 & 0xFFFFFFFF) - 0x80000000


# --- net/netip -------------------------------------------------------------------------------------------------------
def parse_addr(text: str) -> str | None:
    """``netip.ParseAddr(text).String()``."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        zone = f"%{address.scope_id}" if address.scope_id else ""
        return f"::ffff:{address.ipv4_mapped}{zone}"
    return str(address)


def parse_prefix(text: str) -> tuple[str, int] | None:
    """``netip.ParsePrefix``: address as Go writes it and length; no zones, masks, signs or leading zeros."""
    written, slash, bits = text.rpartition("/")
    address = parse_addr(written) if slash and "%" not in written else None
    if address is None or not re.fullmatch(r"0|[1-9][0-9]{0,2}", bits):
        return None
    length = int(bits)
    return (address, length) if length <= (128 if ":" in address else 32) else None


# --- net/url ---------------------------------------------------------------------------------------------------------
class URL(NamedTuple):
    """What Higress asks of a URL: scheme in lower case, host with port, decoded path, opaque part."""

    scheme: str = ""
    host: str = ""
    path: str = ""
    opaque: str = ""


_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})|%")
_PORT: Final = re.compile(r"(?::[0-9]*)?\Z")
_USER: Final = re.compile(r"[A-Za-z0-9._:~!$&'()*+,;=%@-]*\Z")
_HOST: Final = re.compile(r"[^\x00-\x20\x7f#%/?@\\^`{|}]\Z")


def parse_url(text: str) -> URL | None:
    """``url.Parse`` as Go had it up to 1.24 (1.25 and later are stricter with brackets and colons in hosts)."""
    rest, _, fragment = text.partition("#")
    if _CONTROL.search(rest) or _unescape(fragment) is None:
        return None
    scheme = ""
    if rest.startswith(":"):
        return None
    opening = _SCHEME.match(rest)
    if opening:
        scheme, rest = opening[1].lower(), rest[opening.end() :]
    rest = rest.partition("?")[0]
    if not rest.startswith("/"):
        if scheme:
            return URL(scheme, opaque=rest)
        if ":" in rest.partition("/")[0]:
            return None
    host: str | None = ""
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
        user, at, written = authority.rpartition("@")
        if at and (not _USER.match(user) or _unescape(user) is None):
            return None
        host = _host(written)
    decoded = _unescape(rest)
    return None if host is None or decoded is None else URL(scheme, host, decoded)


def _host(text: str) -> str | None:
    """``parseHost``: its port must be digits; percent signs stand for non-ASCII bytes, ``%`` itself, or a zone."""
    zone = -1
    if text.startswith("["):
        end = text.rfind("]")
        if end < 0 or not _PORT.match(text[end + 1 :]):
            return None
        zone = text[:end].find("%25")
        if zone >= 0:
            parts = [
                _unescape(text[:zone], "host"),
                _unescape(text[zone:end], "zone"),
                _unescape(text[end:], "host"),
            ]
            return None if None in parts else "".join(p or "" for p in parts)
    elif ":" in text and not _PORT.match(text[text.rindex(":") :]):
        return None
    return _unescape(text, "host")


def _unescape(text: str, mode: str = "path") -> str | None:
    out = bytearray()
    at = 0
    for escape in _ESCAPE.finditer(text):
        if escape[1] is None:
            return None
        value = int(escape[1], 16)
        if mode == "host" and value < 0x80 and value != 0x25:
            return None
        if mode == "zone" and value not in (0x25, 0x20) and not (value < 0x80 and _HOST.match(chr(value))):
            return None
        out += text[at : escape.start()].encode("utf-8", "surrogatepass")
        out.append(value)
        at = escape.end()
    if mode != "path" and any(not _HOST.match(c) for c in _ESCAPE.sub("", text)):
        return None
    out += text[at:].encode("utf-8", "surrogatepass")
    return out.decode("utf-8", "replace")


# --- net/http --------------------------------------------------------------------------------------------------------
_STATUS: Final = frozenset(
    {
        *(100, 101, 102, 103),
        *(*range(200, 209), 226),
        *(300, 301, 302, 303, 304, 305, 307, 308),
        *(*range(400, 419), 421, 422, 423, 424, 425, 426, 428, 429, 431, 451),
        *(*range(500, 509), 510, 511),
    }
)


def has_status_text(code: int) -> bool:
    """Whether ``http.StatusText`` knows the code."""
    return code in _STATUS
