"""Where requests may go: the configured host, hosts allowed by name, and nothing but http and https."""

from functools import lru_cache
from urllib.parse import SplitResult, urljoin, urlsplit

from watcher.errors import SourceChanged, SourceUnavailable
from watcher.fetch.logins import without_login
from watcher.fetch.refusals import shown

_PORTS = {"http": 80, "https": 443}


def host_of(url: str) -> str:
    """Return `name`, or `name:port` where the port is not the scheme's own. Raises SourceChanged."""
    name, port = _name_and_port(url)
    return name if port in _PORTS.values() else f"{name}:{port}"


def resolve(base: str, link: str) -> str:
    """Return the absolute http or https address of a link found at `base`, without a login. Raises SourceChanged."""
    try:
        url = without_login(urljoin(base, link))
    except ValueError:
        raise SourceChanged("a link of the upstream is not an address", page=shown(base)) from None
    host_of(url)
    return url


def check_allowed(origin: str, url: str, allowed_hosts: frozenset[str]) -> None:
    """Raise SourceUnavailable unless `url` is at the host of `origin` or at one named in `allowed_hosts`."""
    name, port = _name_and_port(url)
    if host_of(origin) == host_of(url) or name in allowed_hosts or f"{name}:{port}" in allowed_hosts:
        return
    raise SourceUnavailable(
        "the upstream leads to another host; name it in `allowed_hosts` if that is right",
        host=host_of(url),
        url=shown(origin),
    )


def _name_and_port(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        return _place(parts.scheme, parts.netloc)
    except ValueError:
        raise SourceChanged("a link of the upstream is not an address") from None


@lru_cache(maxsize=1024)
def _place(scheme: str, netloc: str) -> tuple[str, int]:
    """Return name and port. All links of a page lead to a few places. Raises SourceChanged, ValueError."""
    parts = SplitResult(scheme, netloc, "", "", "")
    name, port = parts.hostname, parts.port
    if scheme not in _PORTS or not name:
        raise SourceChanged("a link of the upstream is neither http nor https", scheme=scheme)
    name = f"[{name}]" if ":" in name else name
    return name.lower().rstrip("."), port or _PORTS[scheme]
