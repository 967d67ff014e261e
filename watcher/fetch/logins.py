"""The login in an address (`https://me:secret@host/`): it is sent to that host, and stands nowhere else. Pure."""

import re
from base64 import b64encode
from typing import Any
from urllib.parse import unquote

_LOGIN = re.compile(r"\A(https?://)([^/?#]*)@", re.IGNORECASE)


def login_in(url: str) -> str | None:
    """Return the login of an address as the value of `Authorization`, None where it holds none."""
    match = _LOGIN.match(url)
    if match is None:
        return None
    user, _, password = match[2].partition(":")
    return f"Basic {b64encode(f'{unquote(user)}:{unquote(password)}'.encode()).decode()}"


def without_login(url: str, instead: str = "") -> str:
    """Return the address without its login; `instead` shows that there was one."""
    return _LOGIN.sub(lambda match: f"{match[1]}{instead}", url)


def without_logins(value: Any, instead: str = "") -> Any:
    """Return the same tables, lists and values; addresses among them are without their login."""
    if isinstance(value, dict):
        return {key: without_logins(item, instead) for key, item in value.items()}
    if isinstance(value, list):
        return [without_logins(item, instead) for item in value]
    return without_login(value, instead) if isinstance(value, str) else value
