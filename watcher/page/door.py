"""Who may see the page: who is on this machine, or who has the token. Pure."""

import hmac
from dataclasses import dataclass
from email.message import Message
from http.cookies import CookieError, SimpleCookie

from watcher.config.listen import is_loopback

COOKIE = "watcher"
_SECONDS = 90 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Door:
    """`token` None: the page is served on loopback only, and whoever is on the machine may see it."""

    token: str | None
    host: str

    def is_misled(self, headers: "Message[str, str]") -> bool:
        """Return whether a browser was led here under a name that is not this machine's own.

        A web page can give its own name this machine's address. Where a token is asked for that is no use to it.
        """
        asked = headers.get("Host", "")
        if self.token is not None or not asked:
            return False
        name = asked[1:].partition("]")[0] if asked.startswith("[") else asked.partition(":")[0]
        return not is_loopback(name) and name.lower() != self.host.lower()

    def lets_in(self, headers: "Message[str, str]") -> bool:
        """Return whether the request shows the token, or the cookie that stands for it."""
        if self.token is None:
            return True
        scheme, _, shown = headers.get("Authorization", "").partition(" ")
        written = shown.strip().encode("latin-1", "replace").decode("utf-8", "replace")  # as it stood on the wire
        by_header = scheme.lower() == "bearer" and self.is_token(written)
        return by_header or _same(_cookie(headers), self._proof)

    def is_token(self, shown: str) -> bool:
        return self.token is not None and _same(shown, self.token)

    @property
    def set_cookie(self) -> str:
        """Return the header that lets a browser in from now on; it holds a proof of the token, not the token."""
        return f"{COOKIE}={self._proof}; Max-Age={_SECONDS}; Path=/; HttpOnly; SameSite=Strict"

    @property
    def _proof(self) -> str:
        return hmac.digest((self.token or "").encode(), b"watcher page", "sha256").hex()


def _cookie(headers: "Message[str, str]") -> str:
    try:
        found = SimpleCookie(headers.get("Cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other.encode("utf-8", "surrogateescape"))
