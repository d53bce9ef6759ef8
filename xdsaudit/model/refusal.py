"""Why the controller itself leaves out a rule or plugin: the translation says which reason, the catalogue of causes what it means."""

from __future__ import annotations

from enum import StrEnum


class Refusal(StrEnum):
    """The translation's reason not to serve a rule or plugin. The value is the slug of its cause."""

    EMPTY_RULE = "empty-rule"
    INVALID_BACKEND_SERVICE = "invalid-backend-service"
    PORT_NAME_RESOLVE_ERROR = "port-name-resolve-error"
    DUPLICATED_ROUTE = "duplicated-route"
    ORPHAN_CANARY = "orphan-canary"
    DEFAULT_BACKEND_UNREACHABLE = "default-backend-unreachable"
    BEHIND_CATCH_ALL = "behind-catch-all"
    PLUGIN_ELSEWHERE = "plugin-elsewhere"
    PLUGIN_RULE_WITHOUT_CONDITION = "plugin-rule-without-condition"
    PLUGIN_RULES_IGNORED = "plugin-rules-ignored"
    PLUGIN_DISABLED = "plugin-disabled"
