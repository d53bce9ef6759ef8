"""Commands that several causes share, as data: what to run, with places for real names. Printed, never run.

A place that nothing is known for makes its command fall away. Every value is quoted for a shell, since names come from strangers.
The labels are those of Higress's chart (higress@v2.0.1 helm/core/templates).
"""

from __future__ import annotations

from typing import Final

from xdsaudit.audit.causes.cause import Command

TOUCH: Final = Command(
    "Touch the Ingress, which renews the tables of its hosts",
    'kubectl -n {namespace} annotate ingress {ingress} --overwrite xdsaudit.io/touched="$(date +%s)"',
)
EDIT: Final = Command("Edit the Ingress", "kubectl -n {namespace} edit ingress {ingress}")
SHOW_WINNER: Final = Command(
    "Look at the Ingress that wins", "kubectl -n {by_namespace} get ingress {by_ingress} -o yaml"
)
RESTART_CONTROLLER: Final = Command(
    "Restart the controller", "kubectl -n {system} rollout restart deployment -l app=higress-controller"
)
CONTROLLER_LOG: Final = Command(
    "Read the controller's log for the Ingress",
    "kubectl -n {system} logs -l app=higress-controller --all-containers --tail=-1 | grep -F {ingress}",
)
RESTART_GATEWAY: Final = Command(
    "Restart the gateway pods", "kubectl -n {gateway_namespace} delete pod {gateways}", restarts=True
)
RESTART_GATEWAYS: Final = Command(
    "Restart all gateways, one after the other",
    "kubectl -n {gateway_namespace} rollout restart deployment -l {every_gateway}",
    restarts=True,
)
GATEWAY_LOG: Final = Command("Read the gateway's log", "kubectl -n {gateway_namespace} logs {gateway} --tail=200")
REFUSALS: Final = Command(
    "Read what the gateway refuses", "kubectl -n {gateway_namespace} logs {gateway} --tail=-1 | grep -i rejected"
)
NEW_SECRET: Final = Command(
    "Create the certificate's Secret",
    "kubectl -n {secret_namespace} create secret tls {secret} --cert=tls.crt --key=tls.key",
)
RENEW_SECRET: Final = Command(
    "Put another certificate into the Secret",
    "kubectl -n {secret_namespace} create secret tls {secret} --cert=tls.crt --key=tls.key --dry-run=client -o yaml | kubectl apply -f -",
)
ENDPOINTS: Final = Command(
    "See which pods stand behind the Service",
    "kubectl -n {service_namespace} get endpointslices -l kubernetes.io/service-name={service} -o wide",
)
SERVICE: Final = Command("Compare selector and ports", "kubectl -n {service_namespace} describe service {service}")
EDIT_PLUGIN: Final = Command("Edit the WasmPlugin", "kubectl -n {plugin_namespace} edit wasmplugin {plugin}")
APPLY: Final = Command("Apply the manifest", "kubectl apply -f {file}")

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
