"""The cluster of a kubeconfig or a pod's account, as the package kubernetes reads it, checked before anything is contacted.

Messages never quote any part of a credential.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from xdsaudit.collect.kube import KubeApi
from xdsaudit.collect.limits import MAX_BYTES, guarded
from xdsaudit.errors import InputError, outline

if TYPE_CHECKING:
    from kubernetes.client import Configuration

_log = logging.getLogger("xdsaudit")


def kube_api(
    kubeconfig: str | None = None,
    context: str | None = None,
    *,
    timeout: float = 10.0,
    max_bytes: int = MAX_BYTES,
    secrets: bool = True,
) -> KubeApi:
    """The API of a kubeconfig's cluster (KUBECONFIG, ~/.kube/config) or, inside a pod, of its account.

    Args:
        kubeconfig: the file; None for the usual places.
        context: the context's name; None for the current one.
        timeout: seconds for one reading.
        max_bytes: the most bytes of one reading.
        secrets: whether to list Secrets.

    Raises:
        InputError: there is no usable configuration; the message says where it was looked for.
    """
    import yaml
    from kubernetes import client, config
    from kubernetes.config.config_exception import ConfigException

    settings = client.Configuration()
    settings.retries = False
    if kubeconfig is not None:
        try:
            os.stat(kubeconfig)  # noqa: PTH116 - the text may not be a path at all
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "is not a path"
            raise InputError(f"--kubeconfig {kubeconfig}: {reason}; check the path") from error
    try:
        if kubeconfig is None and context is None and _in_pod():
            config.load_incluster_config(client_configuration=settings)
        else:
            config.load_kube_config(kubeconfig, context, settings, persist_config=False)
        _checked(settings, kubeconfig)
        made = client.ApiClient(settings)
    except ConfigException as error:
        raise InputError(_no_config(kubeconfig, context, str(error))) from error
    except InputError:
        raise
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        raise InputError(f"{_named(kubeconfig)}: is not YAML{where}; check the file") from error
    except Exception as error:  # its text may quote the file
        reason = getattr(error, "strerror", None) or outline(error)
        raise InputError(f"{_named(kubeconfig)}: cannot be read ({reason}); check the file") from error
    guarded(made.rest_client.pool_manager)
    host = _shown(settings.host)
    if not settings.verify_ssl and host.startswith("https://"):
        _log.warning("Kubernetes %s: its certificate is not verified (insecure-skip-tls-verify)", host)
    return KubeApi(made, host, timeout, max_bytes, secrets=secrets)


def _named(kubeconfig: str | None) -> str:
    return f"kubeconfig {kubeconfig}" if kubeconfig else "kubeconfig"


def _checked(settings: Configuration, kubeconfig: str | None) -> None:
    """Reject a server that is not a URL, and make every token valid in a header.

    Raises:
        InputError: without quoting the value.
    """
    where = _named(kubeconfig)
    try:
        parts = urlsplit(settings.host)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except (ValueError, TypeError, AttributeError):
        valid = False
    if not valid:
        raise InputError(f"{where}: its server is not a valid URL; write https://HOST:PORT")
    clean = partial(_clean, where, settings.refresh_api_key_hook)
    clean(settings)
    settings.refresh_api_key_hook = clean  # type: ignore[assignment] # which the package leaves without a type


def _clean(where: str, before: Callable[[Configuration], None] | None, configuration: Configuration) -> None:
    """Let a hook that was there before renew the tokens, and make each fit for a header."""
    if before is not None:
        before(configuration)
    given: Mapping[str, object] = dict(configuration.api_key)  # whatever the file holds
    for name, value in given.items():
        text = value.strip() if isinstance(value, str) else ""
        if not (text.isascii() and text.isprintable()):
            raise InputError(f"{where}: its token contains invalid characters; log in again")
        configuration.api_key[name] = text


def _shown(host: str) -> str:
    """A server's URL without user and password."""
    parts = urlsplit(host)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _in_pod() -> bool:
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and not os.environ.get("KUBECONFIG")


def _no_config(kubeconfig: str | None, context: str | None, text: str) -> str:
    if context is not None and "context" in text.lower():
        return f"--context {context}: no such context in the kubeconfig; kubectl config get-contexts lists them"
    where = kubeconfig or "KUBECONFIG or ~/.kube/config"
    first = (text.splitlines() or ["it is empty"])[0]
    return (
        f"no cluster to read: {where} has no usable configuration ({first}); give --kubeconfig, or --snapshot PATH, "
        "or -f MANIFESTS with --ads HOST:PORT and --gateway URL"
    )
