"""Commands for each cause, as data: what to run, with places for real names. Printed, never run.

A place that nothing is known for makes its command fall away. Every value is quoted for a shell, since names come from strangers.
The labels are those of Higress's chart (higress@v2.0.1 helm/core/templates).
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Command(NamedTuple):
    """A command with places in braces.

    Attributes:
        title: what it does, in the imperative.
        text: the command; ``{ingress}`` and so on are filled in.
        restarts: whether it ends a gateway's pod, which a gateway that refuses updates must not suffer.
    """

    title: str
    text: str
    restarts: bool = False


_TOUCH: Final = Command(
    "Touch the Ingress, which renews the tables of its hosts",
    'kubectl -n {namespace} annotate ingress {ingress} --overwrite xdsaudit.io/touched="$(date +%s)"',
)
_EDIT: Final = Command("Edit the Ingress", "kubectl -n {namespace} edit ingress {ingress}")
_SHOW_WINNER: Final = Command(
    "Look at the Ingress that wins", "kubectl -n {by_namespace} get ingress {by_ingress} -o yaml"
)
_RESTART_CONTROLLER: Final = Command(
    "Restart the controller", "kubectl -n {system} rollout restart deployment -l app=higress-controller"
)
_CONTROLLER_LOG: Final = Command(
    "Read the controller's log for the Ingress",
    "kubectl -n {system} logs -l app=higress-controller --all-containers --tail=-1 | grep -F {ingress}",
)
_RESTART_GATEWAY: Final = Command(
    "Restart the gateway pods", "kubectl -n {gateway_namespace} delete pod {gateways}", restarts=True
)
_RESTART_GATEWAYS: Final = Command(
    "Restart all gateways, one after the other",
    "kubectl -n {gateway_namespace} rollout restart deployment -l {every_gateway}",
    restarts=True,
)
_GATEWAY_LOG: Final = Command("Read the gateway's log", "kubectl -n {gateway_namespace} logs {gateway} --tail=200")
_REFUSALS: Final = Command(
    "Read what the gateway refuses", "kubectl -n {gateway_namespace} logs {gateway} --tail=-1 | grep -i rejected"
)
_NEW_SECRET: Final = Command(
    "Create the certificate's Secret",
    "kubectl -n {secret_namespace} create secret tls {secret} --cert=tls.crt --key=tls.key",
)
_RENEW_SECRET: Final = Command(
    "Put another certificate into the Secret",
    "kubectl -n {secret_namespace} create secret tls {secret} --cert=tls.crt --key=tls.key --dry-run=client -o yaml | kubectl apply -f -",
)
_ENDPOINTS: Final = Command(
    "See which pods stand behind the Service",
    "kubectl -n {service_namespace} get endpointslices -l kubernetes.io/service-name={service} -o wide",
)
_SERVICE: Final = Command("Compare selector and ports", "kubectl -n {service_namespace} describe service {service}")
_EDIT_PLUGIN: Final = Command("Edit the WasmPlugin", "kubectl -n {plugin_namespace} edit wasmplugin {plugin}")
_APPLY: Final = Command("Apply the manifest", "kubectl apply -f {file}")

COMMANDS: Final[dict[str, tuple[Command, ...]]] = {
    "class-not-ours": (
        Command(
            "Give the Ingress the controller's class",
            'kubectl -n {namespace} patch ingress {ingress} --type merge -p \'{{"spec":{{"ingressClassName":"{class}"}}}}\'',
        ),
        Command(
            "Remove the annotation that decides before it, where it is there",
            "kubectl -n {namespace} annotate ingress {ingress} kubernetes.io/ingress.class-",
        ),
    ),
    "not-applied": (_APPLY,),
    "applied-differently": (Command("See what differs", "kubectl diff -f {file}"), _APPLY),
    "empty-rule": (_EDIT,),
    "invalid-backend-service": (_EDIT,),
    "port-name-resolve-error": (_TOUCH,),
    "duplicated-route": (
        _SHOW_WINNER,
        Command(
            "Delete the Ingress: all of its rules are duplicates", "kubectl -n {namespace} delete ingress {duplicate}"
        ),
        Command("Take the rule out", "kubectl -n {namespace} edit ingress {partly}"),
    ),
    "orphan-canary": (_EDIT,),
    "default-backend-unreachable": (_EDIT,),
    "behind-catch-all": (_SHOW_WINNER, _EDIT),
    "not-translated": (_CONTROLLER_LOG, _TOUCH, _RESTART_CONTROLLER),
    "tls-ignored": (_EDIT,),
    "controller-crash-key": (_EDIT,),
    "certificates-invalid": (
        Command("Edit the ConfigMap of certificates", "kubectl -n {system} edit configmap higress-https"),
    ),
    "protection-not-applied": (_EDIT,),
    "annotation-without-effect": (
        Command("Remove the annotation", "kubectl -n {namespace} annotate ingress {ingress} {key}-"),
    ),
    "stale-route-cache": (_TOUCH, _RESTART_CONTROLLER),
    "stale-listener-cache": (
        Command(
            "Switch pilot's cache of listeners off, which restarts it",
            "kubectl -n {system} set env deployment -l app=higress-controller PILOT_ENABLE_LDS_CACHE=false",
        ),
    ),
    "blackhole-table": (_EDIT, _RESTART_CONTROLLER),
    "route-omitted": (_CONTROLLER_LOG,),
    "scope-missing": (_TOUCH, _RESTART_CONTROLLER),
    "lost-in-pilot": (_TOUCH,),
    "lost-in-control-plane": (_TOUCH, _RESTART_CONTROLLER),
    "changed-in-control-plane": (_TOUCH,),
    "envoy-rejected": (
        Command("Correct the culprit", "kubectl -n {by_namespace} edit ingress {by_ingress}"),
        Command(
            "Or take it out, with a copy of it",
            "kubectl -n {by_namespace} get ingress {by_ingress} -o yaml > {by_ingress}.yaml && kubectl -n {by_namespace} delete ingress {by_ingress}",
        ),
        _REFUSALS,
    ),
    "listener-rejected": (_REFUSALS,),
    "plugin-config-rejected": (_EDIT_PLUGIN, _REFUSALS),
    "not-delivered": (_RESTART_GATEWAY, _RESTART_GATEWAYS),
    "table-not-fetched": (_RESTART_GATEWAY, _RESTART_GATEWAYS),
    "scope-not-applied": (_RESTART_GATEWAY, _RESTART_GATEWAYS),
    "gateway-disconnected": (_GATEWAY_LOG, _RESTART_GATEWAY, _RESTART_GATEWAYS),
    "listener-warming": (_NEW_SECRET,),
    "certificate-warming": (_NEW_SECRET,),
    "no-filter-chain": (_TOUCH,),
    "certificate-expired": (_RENEW_SECRET,),
    "certificate-mismatch": (_RENEW_SECRET,),
    "nothing-listens": (_GATEWAY_LOG,),
    "gateway-initializing": (_GATEWAY_LOG, _CONTROLLER_LOG),
    "plugin-not-delivered": (_GATEWAY_LOG,),
    "plugin-rule-without-condition": (_EDIT_PLUGIN,),
    "plugin-rules-ignored": (_EDIT_PLUGIN,),
    "plugin-rule-dangling": (_EDIT_PLUGIN,),
    "plugin-rule-wrong-namespace": (_EDIT_PLUGIN,),
    "plugin-rule-unreachable": (_EDIT_PLUGIN,),
    "plugin-condition-unread": (_EDIT_PLUGIN,),
    "no-endpoints": (_ENDPOINTS, _SERVICE),
    "endpoints-not-delivered": (_ENDPOINTS, _SERVICE, _RESTART_CONTROLLER),
    "cluster-absent": (
        Command(
            "Create the Service, for pods with the label app={service}",
            "kubectl -n {service_namespace} create service clusterip {service} --tcp={port}:{port}",
        ),
        _EDIT,
    ),
    "cluster-warming": (_ENDPOINTS,),
    "shadowed": (_SHOW_WINNER, _EDIT),
}
"""Commands by slug, the likeliest first. A cause whose remedy is a thought, not a command, has none."""

EXAMPLES: Final = {
    "namespace": "shop",
    "ingress": "cart",
    "duplicate": "cart",
    "by_namespace": "shop",
    "by_ingress": "basket",
    "system": "higress-system",
    "gateway_namespace": "higress-system",
    "gateway": "higress-gateway-7c9f5d6b8-x2vqk",
    "gateways": "higress-gateway-7c9f5d6b8-x2vqk",
    "every_gateway": "app=higress-gateway",
    "class": "higress",
    "file": "batch/cart.yaml",
    "key": "higress.io/rewrite-taget",
    "secret_namespace": "shop",
    "secret": "shop-tls",
    "service_namespace": "shop",
    "service": "cart",
    "port": "8080",
    "plugin_namespace": "higress-system",
    "plugin": "key-auth",
}
"""Names for the pages of codes."""
