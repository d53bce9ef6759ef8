"""TLS, mTLS and tokens to pilot: verified by default, and each refusal says what to give."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from tests import worlds
from xdsaudit import InputError, ReadError
from xdsaudit.collect.access import Access
from xdsaudit.collect.ads import fetch_pilot
from xdsaudit.testing import ControlPlane, ingress
from xdsaudit.testing.rewrite import resources_of
from xdsaudit.xds.session import Node

TABLES = worlds.expectation([ingress("a", "foo.test")]).tables


class Papers:
    """A certificate authority, a server's certificate and a client's."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.server = authority.issue_cert("istiod.higress-system.svc")
        client = authority.issue_cert("gateway")
        self.roots = authority.cert_pem.bytes()
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(self.roots)
        self.cert, self.key = folder / "cert.pem", folder / "key.pem"
        self.cert.write_bytes(client.cert_chain_pems[0].bytes())
        self.key.write_bytes(client.private_key_pem.bytes())
        self.token = folder / "token"
        self.token.write_text("a-token\n")
        self.other = folder / "other.pem"
        self.other.write_bytes(trustme.CA().cert_pem.bytes())

    def plane(self, *, mutual: bool = False) -> ControlPlane:
        chain = b"".join(p.bytes() for p in self.server.cert_chain_pems)
        key = self.server.private_key_pem.bytes()
        return ControlPlane(resources_of(worlds.responses(TABLES)), tls=(key, chain, self.roots if mutual else None))


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    return Papers(tmp_path)


def access(papers: Papers, **more: object) -> Access:
    options = {"tls": True, "ca": papers.ca, "server_name": "istiod.higress-system.svc", "timeout": 3.0, **more}
    return Access(**options)  # type: ignore[arg-type]


def test_tls_with_a_token(papers: Papers) -> None:
    with papers.plane() as plane:
        responses, why = fetch_pilot(plane.endpoint, Node(), access(papers, token_file=papers.token))
        assert plane.clients[0].metadata["authorization"] == "Bearer a-token"
    assert why is None
    assert responses


def test_mutual_tls(papers: Papers) -> None:
    with papers.plane(mutual=True) as plane:
        responses, _ = fetch_pilot(plane.endpoint, Node(), access(papers, cert=papers.cert, key=papers.key))
        assert responses
        with pytest.raises(ReadError, match="--cert"):
            fetch_pilot(plane.endpoint, Node(), access(papers))


@pytest.mark.parametrize("wrong", ["other", "name", "plain"])
def test_nothing_unverified_is_trusted(papers: Papers, wrong: str) -> None:
    options = {"other": {"ca": papers.other}, "name": {"server_name": "elsewhere.test"}, "plain": {"tls": False}}[wrong]
    said = "--ads-tls" if wrong == "plain" else "--ca"
    with papers.plane() as plane, pytest.raises(ReadError, match=said):
        fetch_pilot(plane.endpoint, Node(), access(papers, **options))


@pytest.mark.parametrize("flag", ["ca", "cert", "key"])
def test_a_file_of_tls_is_not_dropped_in_silence(flag: str) -> None:
    from xdsaudit import SourceOptions
    from xdsaudit.collect.connect import opened

    pair = {"cert": Path("c"), "key": Path("k")}
    given = {"ca": Path("c")} if flag == "ca" else pair
    with pytest.raises(InputError, match=r"--c.*add --ads-tls"), opened(SourceOptions(ads=("h:1",), **given)):
        pass
