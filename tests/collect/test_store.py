"""Kubernetes objects that are followed: events, bookmarks, versions too old, servers that go away."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from xdsaudit.collect.kubeconfig import kube_api
from xdsaudit.collect.watches import KubeStore
from xdsaudit.testing import FakeKube, ingress


def until(ready: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def names(store: KubeStore) -> set[str]:
    found, _ = store.read()
    return {i["metadata"]["name"] for i in json.loads(found["ingresses"])["items"]}


def opened(kube: FakeKube, tmp_path: Path) -> KubeStore:
    place = tmp_path / "config"
    place.write_text(kube.kubeconfig())
    return KubeStore(kube_api(str(place), timeout=5), "higress-system")


def test_changes_arrive_and_equal_reads_share_their_bytes(tmp_path: Path) -> None:
    with FakeKube({"ingresses": [ingress("a", "foo.test")]}) as kube, opened(kube, tmp_path) as store:
        assert names(store) == {"a"}
        assert store.read()[0]["ingresses"] is store.read()[0]["ingresses"]
        kube.apply("ingresses", ingress("b", "foo.test", "/b"))
        until(lambda: names(store) == {"a", "b"})
        kube.delete("ingresses", "default", "a")
        until(lambda: names(store) == {"b"})


def test_a_version_too_old_lists_again(tmp_path: Path) -> None:
    with FakeKube({"ingresses": [ingress("a", "foo.test")]}) as kube, opened(kube, tmp_path) as store:
        lists = sum(path.endswith("/ingresses") for _, path in kube.calls)
        kube.apply("ingresses", ingress("b", "foo.test", "/b"))
        kube.forget()
        until(lambda: names(store) == {"a", "b"})
        assert sum(path.endswith("/ingresses") for _, path in kube.calls) > lists
        kube.apply("ingresses", ingress("c", "foo.test", "/c"))
        until(lambda: names(store) == {"a", "b", "c"})


@pytest.mark.slow
def test_a_server_that_goes_and_comes(tmp_path: Path) -> None:
    with FakeKube({"ingresses": [ingress("a", "foo.test")]}) as kube, opened(kube, tmp_path) as store:
        kube.down = True
        until(lambda: any("ingresses" in c for c in store.read()[1]))
        assert names(store) == {"a"}  # what was known stays, and is said to be old
        kube.down = False
        kube.apply("ingresses", ingress("b", "foo.test", "/b"))
        until(lambda: names(store) == {"a", "b"} and not store.read()[1])


def test_it_stops_at_once(tmp_path: Path) -> None:
    with FakeKube({"ingresses": []}) as kube:
        with opened(kube, tmp_path):
            time.sleep(0.2)
            began = time.monotonic()
        assert time.monotonic() - began < 1
