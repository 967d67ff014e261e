"""What looks like a secret, by its name or by its form: it is never written down."""

import re
from collections.abc import Iterable, Mapping

_WORDS = {"token", "secret", "password", "passwd", "pass", "key", "apikey", "credential", "credentials", "auth", "pat"}
_INSIDE = re.compile("password|secret|apikey|api_key", re.IGNORECASE)
_FORMS = re.compile(
    r"(?:\bhf_|\bsk-|\bgh[opsu]_|\bgithub_pat_|\bglpat-|\bxox[abp]-|\bnvapi-)[\w-]{8,}|://[^/\s:@]*:[^/\s@]+@"
)
_SHORTEST = 4


def is_secret_name(name: str) -> bool:
    """Return whether a variable or an option of this name holds a secret: `HF_TOKEN` and `--api-key` do."""
    return not _WORDS.isdisjoint(re.split(r"[_-]+", name.lower())) or _INSIDE.search(name) is not None


def is_secret(value: str, secrets: Iterable[str] = ()) -> bool:
    """Return whether a value has the form of a secret, or holds one of `secrets`."""
    return _FORMS.search(value) is not None or any(len(one) >= _SHORTEST and one in value for one in secrets)


def without_secrets(env: Mapping[str, str], secrets: Iterable[str] = ()) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the variables that may be written down, and the names of those that may not."""
    known = tuple(secrets)
    withheld = tuple(name for name, value in env.items() if value and (is_secret_name(name) or is_secret(value, known)))
    return {name: value for name, value in env.items() if name not in withheld}, withheld
