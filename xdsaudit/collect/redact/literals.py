"""Pseudonyms: one per credential, and rules that preserve the shape of patterns around it.

Knows no view; the same value gets the same pseudonym everywhere.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

MATCHER_TEXTS: Final = (
    "exact",
    "prefix",
    "suffix",
    "contains",
    "exact_match",
    "prefix_match",
    "suffix_match",
    "contains_match",
)
"""Fields of Envoy's string and header matchers that hold a value as it is sent."""
MATCHER_REGEXES: Final = ("safe_regex", "safe_regex_match")
"""Those that hold a message with a regex of it."""
_DONE: Final = re.compile(r"redacted:[0-9a-f]{12}\(?")
_USERINFO: Final = re.compile(r"(?<=://)[^/@\s?#]{1,1024}@")
_COOKIE_CANARY: Final = re.compile(r"\^\(\.\*\?;\\s\*\)\?\([^()]*=always\)\(;\.\*\)\?\$")
_SHORTEST: Final = 8
"""Shorter credentials are hidden in place but not searched for elsewhere: they may be ordinary words."""


class Literals:
    """The credentials of one snapshot.

    Attributes:
        scrub: whether texts are searched for credentials that were hidden elsewhere.
    """

    def __init__(self, key: bytes) -> None:
        """No credential has been seen yet."""
        self._key = key
        self._seen: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None
        self.scrub = False

    @property
    def seen(self) -> bool:
        """Whether any hidden credential is long enough to be searched for."""
        return bool(self._seen)

    def hide(self, value: str) -> str:
        """A value's pseudonym; an empty value or a pseudonym stays unchanged."""
        pseudonym = self.veil(value)
        if pseudonym != value and len(value) >= _SHORTEST and value not in self._seen:
            self._seen[value] = pseudonym
            self._pattern = None
        return pseudonym

    def veil(self, value: str) -> str:
        """The same for what may be a credential or an ordinary word: hidden here, but not searched for elsewhere."""
        if not value or _DONE.fullmatch(value):
            return value
        return (
            "redacted:" + hmac.new(self._key, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:12]
        )

    def hide_regex(self, pattern: str) -> str:
        """The same for a regex: what Higress writes around a canary's value stays, and an invalid regex stays invalid."""
        if pattern in ("", "*", "always") or _COOKIE_CANARY.fullmatch(pattern):
            return pattern
        if pattern.startswith("always|"):
            return f"always|{self.hide_regex(pattern[7:])}"
        if pattern.startswith(".*") and pattern.endswith(".*") and len(pattern) > 4:
            return f".*{self.hide_regex(pattern[2:-2])}.*"
        hidden = self.hide(pattern)
        return hidden if hidden == pattern or _compiles(pattern) else f"{hidden}("

    def hide_exact(self, value: str) -> str:
        """The same for an exact value: ``always`` is Higress's own word for a canary."""
        return value if value == "always" else self.hide(value)

    def text(self, text: str) -> str:
        """A text without credentials that were hidden elsewhere, and without user and password in URLs."""
        if "://" in text and "@" in text:
            text = _USERINFO.sub("redacted@", text)
        if not self.scrub or len(text) < _SHORTEST:
            return text
        if self._pattern is None:
            longest_first = sorted(self._seen, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))
        return self._pattern.sub(lambda m: self._seen[m[0]], text)


def _compiles(pattern: str) -> bool:
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options=options)
    except re2.error:
        return False
    return True
