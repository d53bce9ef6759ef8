"""WasmPlugins, from their objects to the filters that run them."""

from __future__ import annotations

from xdsaudit.audit.causes.cause import Cause
from xdsaudit.audit.causes.commands import EDIT_PLUGIN, GATEWAY_LOG, REFUSALS
from xdsaudit.model.refusal import Refusal
from xdsaudit.model.verdict import Severity

PLUGIN_RULE_WITHOUT_CONDITION = Cause(
    code="XA231",
    slug=Refusal.PLUGIN_RULE_WITHOUT_CONDITION.value,
    severity=Severity.ERROR,
    title="A match rule without a condition drops the whole plugin",
    meaning="A match rule that is on needs an ingress, a service or a domain. One without any makes the controller refuse the whole WasmPlugin; what was served of it before stays as it was. Its log says: invalid match rule has no match condition.",
    remedy="Give the rule a condition, remove it, or set configDisable on it. What is meant for every request belongs in defaultConfig.",
    shows="A new plugin does not take effect, and no change of an old one does.",
    prevention="xdsaudit check names the rule.",
    issues=("higress#3844",),
    fix=(EDIT_PLUGIN,),
)
PLUGIN_RULES_IGNORED = Cause(
    code="XA232",
    slug=Refusal.PLUGIN_RULES_IGNORED.value,
    severity=Severity.ERROR,
    title="pluginConfig hides the match rules",
    meaning="Where a WasmPlugin has a pluginConfig, that alone is its configuration: defaultConfig and matchRules are silently ignored.",
    remedy="Move what pluginConfig holds to defaultConfig, and remove pluginConfig.",
    shows="The plugin treats every request alike.",
    prevention="Write defaultConfig and matchRules, and leave pluginConfig to plugins of plain Istio.",
    fix=(EDIT_PLUGIN,),
)
PLUGIN_DISABLED = Cause(
    code="XA233",
    slug=Refusal.PLUGIN_DISABLED.value,
    severity=Severity.INFO,
    title="Switched off",
    meaning="A match rule with configDisable is not served; a WasmPlugin with defaultConfigDisable and no match rule that is on is not served at all.",
    remedy="Nothing, if that is meant. Otherwise set configDisable or defaultConfigDisable to false.",
    shows="The plugin does not act.",
    prevention="None is needed.",
)
PLUGIN_RULE_DANGLING = Cause(
    code="XA234",
    slug="plugin-rule-dangling",
    severity=Severity.WARNING,
    title="A match rule names what does not exist",
    meaning="No route has that name, no route has such a host, or no cluster is of that service: no request can meet the condition.",
    remedy="Correct the name, or create what it names. A service is named by its full name and port (web.shop.svc.cluster.local:80), a domain without a port.",
    shows="The plugin does not act where it is expected to.",
    prevention="Remove match rules together with the Ingress that they name.",
    issues=("higress#857", "higress#3571"),
    fix=(EDIT_PLUGIN,),
)
PLUGIN_RULE_WRONG_NAMESPACE = Cause(
    code="XA235",
    slug="plugin-rule-wrong-namespace",
    severity=Severity.WARNING,
    title="A match rule names an Ingress, but not as its route is called",
    meaning="Match rules are held against names of routes: namespace/name, or the name alone for Ingresses of the controller's own namespace.",
    remedy="Write the name as the finding gives it.",
    shows="The plugin does not act on that Ingress; nothing is logged.",
    prevention="xdsaudit check names the rule.",
    issues=("higress#2461",),
    fix=(EDIT_PLUGIN,),
)
PLUGIN_RULE_UNREACHABLE = Cause(
    code="XA236",
    slug="plugin-rule-unreachable",
    severity=Severity.ERROR,
    title="An earlier match rule takes all its requests",
    meaning="A plugin uses the first match rule that a request meets, in the order of matchRules, whatever kind of condition it has. A rule for a domain that stands before one for an Ingress of that domain leaves it nothing.",
    remedy="Put the more specific rule first.",
    shows="Requests are treated by the other rule.",
    prevention="Order match rules from the most specific to the most general.",
    fix=(EDIT_PLUGIN,),
)
PLUGIN_CONDITION_UNREAD = Cause(
    code="XA237",
    slug="plugin-condition-unread",
    severity=Severity.WARNING,
    title="A condition of a match rule is not read",
    meaning="Before 2.0.4 Higress serves one kind of condition of a match rule: ingress, else service, else domain. Later ones serve all, and the plugin SDKs read routes (with services) before domains, and domains before services.",
    remedy="Write a match rule of its own for each kind of condition.",
    shows="The plugin acts on more requests than its match rule seems to say.",
    prevention="Use one kind of condition in a match rule.",
    fix=(EDIT_PLUGIN,),
)
PLUGIN_ELSEWHERE = Cause(
    code="XA238",
    slug=Refusal.PLUGIN_ELSEWHERE.value,
    severity=Severity.WARNING,
    title="The WasmPlugin is not in the controller's own namespace",
    meaning="The controller takes WasmPlugins of its own namespace only (higress-system, unless it was installed elsewhere), and ignores others without logging it. Since 2.1 a controller that watches one namespace (--watchNamespace) sees WasmPlugins of that namespace alone.",
    remedy="Move the WasmPlugin to the controller's namespace. If it belongs to another Higress, nothing needs to be done.",
    shows="The plugin has no effect, and core serves nothing of it.",
    prevention="xdsaudit check says so before it is applied.",
)
PLUGIN_NOT_TRANSLATED = Cause(
    code="XA240",
    slug="plugin-not-translated",
    severity=Severity.ERROR,
    title="Core does not serve the WasmPlugin as it is written",
    meaning="The object is there, no rule known here drops it, and higress-core does not have it, or has an older one. The controller has not seen the change, or refused it in its log.",
    remedy="Read the controller's log for the plugin's name. If it says nothing, restart the controller: it then reads all objects again.",
    shows="The plugin, or the change, has no effect.",
    prevention="Wait with the manifests: xdsaudit wait -f.",
    issues=("higress#3844",),
)
PLUGIN_UNEXPLAINED = Cause(
    code="XA241",
    slug="plugin-unexplained",
    severity=Severity.ERROR,
    title="A plugin runs that no WasmPlugin asks for",
    meaning="A view holds a plugin of the controller's namespace without an object. Where the view before it does not have it, it is left over from an object that was deleted. Otherwise something else made it: since 2.1 a registry's MCP servers do.",
    remedy="If it is left over: find out why the change does not arrive; a push or a restart of the gateway ends it.",
    shows="Requests are treated by a plugin that was deleted.",
    prevention="Watch gateways with xdsaudit watch.",
)
PLUGIN_NOT_GENERATED = Cause(
    code="XA440",
    slug="plugin-not-generated",
    severity=Severity.ERROR,
    title="Pilot does not serve the plugin as it must",
    meaning="The filter is in no listener, or its configuration is missing or different. The plugin's selector fits no label of the gateway, pilot could not read its URL, or pilot has not taken the change from core.",
    remedy="Look for the plugin's name in pilot's log (discarded due to), and at the label that gateways carry: higress=<namespace>-higress-gateway.",
    shows="The plugin, or the change, has no effect in any gateway.",
    prevention="Wait with the manifests: xdsaudit wait -f.",
    issues=("istio#56169",),
)
PLUGIN_CONFIG_REJECTED = Cause(
    code="XA503",
    slug="plugin-config-rejected",
    severity=Severity.ERROR,
    title="Envoy rejected the configurations of plugins",
    meaning="Envoy, or the agent beside it, refuses a whole answer for one plugin: one whose image cannot be fetched is enough. All plugins keep their old configuration, and new ones have none, so that requests get 500. Nothing in the config dump shows it.",
    remedy="Correct the URL of the plugin that is named, or its pull secret, or delete the plugin; the next push is then accepted. Do not restart the gateway before: it would lose the plugins that still run.",
    shows="500 for every request, or plugins that do not change.",
    prevention="Try a new image on a gateway of its own first; failStrategy FAIL_OPEN lets requests pass when code cannot be fetched.",
    issues=("istio#56169", "istio#51038"),
    fix=(EDIT_PLUGIN, REFUSALS),
)
PLUGIN_NOT_DELIVERED = Cause(
    code="XA620",
    slug="plugin-not-delivered",
    severity=Severity.ERROR,
    title="Pilot serves the plugin and the gateway does not run it as served",
    meaning="The gateway is connected, or was not asked, and nothing shows a rejection. Where an allow-all filter stands in its place, the agent beside Envoy could not fetch the code and the plugin is FAIL_OPEN.",
    remedy="Wait for the next push and look again. If it stays, read the gateway's log for the plugin's name, and check that its image can be fetched from there.",
    shows="The plugin, or the change, has no effect in one gateway.",
    prevention="Watch gateways with xdsaudit watch.",
    issues=("istio#51038",),
    fix=(GATEWAY_LOG,),
)
PLUGIN_WITHOUT_CONFIGURATION = Cause(
    code="XA710",
    slug="plugin-without-configuration",
    severity=Severity.ERROR,
    title="A plugin's filter has no configuration: requests get 500",
    meaning="The listener has the filter, its configuration never came or was refused, and no other stands in for it. Envoy answers 500 for every request of that listener until it comes.",
    remedy="Heal the plugin that is named, or delete it: the filter then goes too.",
    shows="500 for every request of the listener, on routes that are right.",
    prevention="Give plugins that may be missing failStrategy FAIL_OPEN.",
)
