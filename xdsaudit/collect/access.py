"""How to reach a control plane: TLS, keys and tokens, checked before gRPC sees them, and the limits of one read.

gRPC aborts the process for a certificate without its key, and writes to the terminal about a file it cannot read.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Final, Protocol

from xdsaudit.collect.limits import MAX_BYTES
from xdsaudit.errors import InputError

_OPTIONS: Final = (
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_LARGEST_MESSAGE: Final = (1 << 31) - 1


@dataclass(frozen=True)
class Access:
    """How to reach a control plane.

    Attributes:
        tls: whether to use TLS (verified against ``ca``, or the system's roots).
        ca: PEM file of CA certificates.
        cert: PEM file of the client's certificate, for mTLS; goes with ``key``.
        key: PEM file of its key; goes with ``cert``.
        roots: CA certificates as PEM, instead of a file.
        token: a bearer token, instead of a file; never printed.
        token_file: file of a bearer token (a ServiceAccount's, audience istio-ca).
        server_name: name the server's certificate must contain, if it is not the endpoint's host.
        timeout: seconds for the whole read of one source, retries included.
        max_bytes: the most bytes to read from one source.

    Raises:
        InputError: a certificate without its key, or a key without its certificate.
    """

    tls: bool = False
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    token_file: Path | None = None
    server_name: str | None = None
    timeout: float = 10.0
    roots: bytes | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    max_bytes: int = MAX_BYTES

    def __post_init__(self) -> None:
        if self.cert is not None and self.key is None:
            raise InputError(f"--cert {self.cert}: needs the certificate's key: give it with --key")
        if self.key is not None and self.cert is None:
            raise InputError(f"--key {self.key}: needs the key's certificate: give it with --cert")


class Call(Protocol):
    """A stream of gRPC, as far as it is used: its answers, and how it is ended."""

    def __iter__(self) -> Iterator[bytes]: ...

    def cancel(self) -> object:
        """End it."""


class Channel(Protocol):
    """A channel of gRPC, which has no types of its own, as far as it is used."""

    def stream_stream(self, method: str, /) -> Callable[..., Call]:
        """What opens a stream of this method."""

    def close(self) -> None:
        """End it with all its streams."""


def quiet_grpc() -> ModuleType:
    """The package grpc, configured before it is loaded not to write to the user's terminal."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")  # it would write a line whenever a command is started
    import grpc

    package: ModuleType = grpc
    return package


@contextmanager
def channel(endpoint: str, access: Access) -> Iterator[tuple[Channel, list[tuple[str, str]]]]:
    """A gRPC channel and the metadata of its calls.

    Raises:
        InputError: a key file cannot be read or used, or a token would be sent in plaintext.
    """
    grpc = quiet_grpc()
    metadata: list[tuple[str, str]] = []
    token = _token(access)
    if token is not None:
        if not access.tls:
            raise InputError("a token is sent over TLS only: add --ads-tls, or leave out --token-file")
        metadata.append(("authorization", f"Bearer {token}"))
    options: list[tuple[str, str | int]] = list(_OPTIONS)
    options.append(("grpc.max_receive_message_length", min(access.max_bytes, _LARGEST_MESSAGE)))
    if access.server_name:
        options.append(("grpc.ssl_target_name_override", access.server_name))
    credentials = grpc.ssl_channel_credentials(*_keys(access)) if access.tls else None
    dial = grpc.insecure_channel if credentials is None else partial(grpc.secure_channel, credentials=credentials)
    opened = dial(endpoint, options=options)
    try:
        yield opened, metadata
    finally:
        opened.close()


def _file(path: Path | None, what: str) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{what} {path}: {error.strerror or error}; check the path") from error


def _token(access: Access) -> str | None:
    """The bearer token; messages about a bad one do not quote it."""
    raw = access.token.encode() if access.token else _file(access.token_file, "token file")
    if raw is None:
        return None
    place = "the token" if access.token else f"token file {access.token_file}"
    token = raw.strip().decode("ascii", "replace")
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(
            f"{place}: does not contain a token, which is one line of letters, digits and punctuation; check the file"
        )
    return token


def _keys(access: Access) -> tuple[bytes | None, bytes | None, bytes | None]:
    """CA certificates, key and certificate in gRPC's form."""
    roots = access.roots or _file(access.ca, "CA file")
    if roots is not None:
        try:
            ssl.create_default_context(cadata=roots.decode("ascii"))
        except (ssl.SSLError, ValueError) as error:
            place = f"CA file {access.ca}" if access.roots is None else "the CA of pilot's certificate"
            raise InputError(f"{place}: contains no PEM certificate; check the file") from error
    key, cert = _file(access.key, "key file"), _file(access.cert, "certificate file")
    if access.key is not None and access.cert is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(access.cert, access.key, password="")
        except (ssl.SSLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or "not PEM, or the key has a password"
            raise InputError(
                f"certificate file {access.cert}, key file {access.key}: cannot be used together ({reason}); check that both are "
                "PEM, that the key has no password, and that it belongs to this certificate"
            ) from error
    return roots, key, cert
