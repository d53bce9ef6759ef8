"""Snapshots on disk: save and load are inverse; archives are read safely; bad ones say what is wrong."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdsaudit import FormatError, InputError, Snapshot, load, save
from xdsaudit.collect.snapshot import from_files, to_files
from xdsaudit.model.snapshot import PilotCapture
from xdsaudit.model.view import State, ViewInfo, ViewName
from xdsaudit.xds.pool import TYPES, message

NAMES = st.from_regex(r"[a-z][a-z0-9.-]{0,12}[a-z0-9]", fullmatch=True)
DATA = st.binary(max_size=40)


def answer(short: str) -> bytes:
    return message("envoy.service.discovery.v3.DiscoveryResponse")(
        type_url=TYPES[short], version_info="1"
    ).SerializeToString()


ANSWERS = st.lists(st.sampled_from([answer(s) for s in TYPES]), min_size=1, max_size=4).map(tuple)
SNAPSHOTS = st.builds(
    Snapshot,
    captured_at=st.none() | st.just("2026-11-24T00:00:00Z"),
    controller=st.dictionaries(NAMES, st.text(max_size=5) | st.booleans(), max_size=3),
    kube=st.dictionaries(NAMES.filter(lambda n: "." not in n), DATA, max_size=3),
    core=st.just({}) | st.dictionaries(NAMES, ANSWERS, max_size=2),
    pilot=st.dictionaries(
        NAMES,
        st.builds(
            PilotCapture,
            ANSWERS,
            st.none() | ANSWERS,
            st.dictionaries(st.sampled_from(("syncz.json", "metrics.txt")), DATA),
        ),
        max_size=2,
    ),
    gateway=st.dictionaries(
        NAMES, st.dictionaries(st.sampled_from(("config_dump.json", "stats.json")), DATA, min_size=1), max_size=2
    ),
    views=st.lists(
        st.builds(
            ViewInfo,
            st.sampled_from(ViewName),
            st.none() | NAMES,
            st.sampled_from(State),
            st.none() | st.text(max_size=9),
        ),
        max_size=3,
    ).map(tuple),
    story=st.none() | st.text(max_size=20),
    extra=st.dictionaries(st.just("later"), st.integers(), max_size=1),
)


@given(SNAPSHOTS)
def test_save_and_load_are_inverse(snapshot: Snapshot) -> None:
    assert from_files(to_files(snapshot), "memory") == snapshot


@pytest.mark.parametrize("ending", ["", ".tar.gz", ".tgz", ".tar.xz", ".zip"])
def test_every_form(tmp_path: Path, recording, ending: str) -> None:
    place = tmp_path / f"world{ending}"
    size = save(recording("batch-loss"), place)
    assert size > 1000
    assert load(place) == recording("batch-loss")
    with pytest.raises(InputError, match="exists already"):
        save(recording("batch-loss"), place)


def test_recordings_survive(recording) -> None:
    for name in ("healthy-scoped", "nack-one-host", "controller-crashed"):
        assert from_files(to_files(recording(name)), "memory") == recording(name)


def test_a_folder_around_the_files_is_looked_through(recordings: Path, recording) -> None:
    assert load(recordings / "batch-loss-full.tar.xz").kube.keys() == recording("batch-loss").kube.keys()


def archive(place: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(place, "w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return place


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = 1 if kind == tarfile.REGTYPE else 0
    return info


@pytest.mark.parametrize(
    ("info", "said"),
    [
        (member("../evil"), "leads out"),
        (member("/etc/passwd"), "leads out"),
        (member("a/../../b"), "leads out"),
        (member("link", tarfile.SYMTYPE, "/etc/passwd"), "link or a device"),
        (member("hard", tarfile.LNKTYPE, "x"), "link or a device"),
        (member("fifo", tarfile.FIFOTYPE), "link or a device"),
    ],
)
def test_archives_are_unpacked_safely(tmp_path: Path, info: tarfile.TarInfo, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load(archive(tmp_path / "evil.tar.gz", info))
    assert list(tmp_path.iterdir()) == [tmp_path / "evil.tar.gz"]


def test_zip_slip(tmp_path: Path) -> None:
    place = tmp_path / "evil.zip"
    with zipfile.ZipFile(place, "w") as made:
        made.writestr("../../evil", b"x")
    with pytest.raises(InputError, match="leads out"):
        load(place)


def test_archive_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xdsaudit.collect.snapshot.MAX_BYTES", 10)
    info = member("big")
    info.size = 11
    with pytest.raises(InputError, match="GiB"):
        load(archive(tmp_path / "big.tar.gz", info))


@pytest.mark.parametrize(
    ("files", "kind", "said"),
    [
        ({}, InputError, "no snapshot.json"),
        ({"readme": b""}, InputError, "no snapshot.json"),
        ({"snapshot.json": b"{"}, InputError, "not JSON"),
        ({"snapshot.json": b"[]"}, FormatError, "names no format"),
        ({"snapshot.json": json.dumps({"format": "xdsaudit.snapshot/9"}).encode()}, FormatError, "upgrade xdsaudit"),
        ({"snapshot.json": json.dumps({"format": "other/1"}).encode()}, FormatError, "capture wrote"),
        (
            {"snapshot.json": json.dumps({"format": "xdsaudit.snapshot/1", "views": [{"name": "moon"}]}).encode()},
            InputError,
            "views",
        ),
    ],
)
def test_bad_snapshots(tmp_path: Path, files: dict[str, bytes], kind: type[Exception], said: str) -> None:
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(kind, match=said):
        load(tmp_path)


@pytest.mark.parametrize("data", [b"", b"not an archive", b"\x1f\x8b\x08broken", b"PK\x03\x04broken"])
def test_no_archive(tmp_path: Path, data: bytes) -> None:
    place = tmp_path / "a.tar.gz"
    place.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.tar\.gz"):
        load(place)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "nothing")
