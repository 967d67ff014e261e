"""Where the page is served: the address in the configuration, and whether others than this machine can reach it."""

from ipaddress import ip_address


def parse_listen(text: str) -> tuple[str, int]:
    """Return host and port of `127.0.0.1:8787` or `[::1]:8787`. Raises ValueError with the expected form."""
    host, _, port = text.strip().rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if is_bracketed else host
    is_port = port.isascii() and port.isdigit() and 0 < int(port) < 65536
    if not host or not is_port or (":" in host) != is_bracketed:
        raise ValueError(f'{text!r} is not an address such as "127.0.0.1:8787" or "[::1]:8787"')
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the host; a name other than `localhost` may lead anywhere."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
