"""Carry a message through apprise. An address is a secret: no error, log line or name of ours repeats any of it."""

import hashlib
import logging
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from watcher.errors import NotifyFailed
from watcher.model.notice import Message
from watcher.notify.mail import render_html

if TYPE_CHECKING:
    from apprise import Apprise, NotifyBase

_LOGGERS = ("apprise", "urllib3", "requests", "smtplib", "asyncio", "paho", "slixmpp", "httpx", "httpcore")
_STATUS = re.compile(r"\berror[ =:]*([1-5]\d\d)\b")
_NO_CONNECTION = re.compile(r"connection|socket|timed? ?out|unreachable|resolve", re.IGNORECASE)


class AppriseNotifier:
    """One address. Apprise is imported at the first message, not before."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._channel = channel_name(url)

    @property
    def channel(self) -> str:
        return self._channel

    def __repr__(self) -> str:
        return f"AppriseNotifier({self._channel})"

    def send(self, message: Message) -> None:
        """Deliver, or raise NotifyFailed, which says no more of the address than its scheme."""
        with _quiet() as said:
            trouble = self._trouble(message)
        if trouble:
            raise NotifyFailed(trouble, channel=self._channel, because=_because(said))

    def _trouble(self, message: Message) -> str | None:
        """Send and return what went wrong. Errors end here: their text and traceback hold the address."""
        try:
            channel = _instantiate(self._url)
            if channel is None:
                return "the address is not one that apprise understands; correct notify.urls"
            as_html = _takes_html(channel)
            taken = _apprise_of(channel).notify(
                body=render_html(message) if as_html else message.body,
                title=message.title,
                notify_type=message.type,
                body_format="html" if as_html else "text",
            )
        except Exception as error:  # noqa: BLE001  any plugin may raise anything
            return f"the channel could not be used ({type(error).__name__})"
        return None if taken else "the channel did not take the message"


def build_notifiers(urls: Iterable[str]) -> tuple[AppriseNotifier, ...]:
    """Return a notifier for each address, the same address once."""
    return tuple(AppriseNotifier(url) for url in dict.fromkeys(urls))


def channel_name(url: str) -> str:
    """Return the scheme and a short hash: the same for the same address, and nothing can be read from it."""
    return f"{_scheme(url)}:{hashlib.sha256(url.encode('utf-8', 'replace')).hexdigest()[:8]}"


def check_url(url: str) -> str | None:
    """Return what is wrong with an address, None when apprise understands it. Nothing is sent."""
    with _quiet():
        try:
            understood = _instantiate(url) is not None
        except Exception:  # noqa: BLE001  any plugin may raise anything, with the address in its text
            understood = False
    return None if understood else f"the {_scheme(url)} address is not one that apprise understands"


def _scheme(url: str) -> str:
    scheme = url.split("://", 1)[0].strip().lower() if "://" in url else ""
    return scheme if re.fullmatch(r"[a-z0-9+.-]{1,20}", scheme) else "unknown"


def _instantiate(url: str) -> "NotifyBase | None":
    from apprise import Apprise, OverflowMode

    channel = Apprise.instantiate(url, suppress_exceptions=True)
    if channel is not None and "overflow" not in url:
        channel.overflow_mode = (
            OverflowMode.SPLIT
        )  # else a chat with a short limit would refuse a long message for ever
    return channel


def _takes_html(channel: "NotifyBase") -> bool:
    """Return whether it is mail: apprise adds the plain text, and sends that alone to an address with `format=text`."""
    from apprise.plugins.email import NotifyEmail

    return isinstance(channel, NotifyEmail)


def _apprise_of(channel: "NotifyBase") -> "Apprise":
    from apprise import Apprise

    bundle = Apprise()
    bundle.add(channel)
    return bundle


@contextmanager
def _quiet() -> Iterator[list[str]]:
    """Keep what apprise and its libraries log or warn of away from everyone: it holds addresses. Lend the lines."""
    keeper = _Keeper()
    before = {}
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        before[name] = (logger.propagate, logger.handlers[:])
        logger.propagate, logger.handlers = False, [keeper]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield keeper.lines
    finally:
        for name, (propagate, handlers) in before.items():
            logger = logging.getLogger(name)
            logger.propagate, logger.handlers = propagate, handlers


class _Keeper(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _because(said: Sequence[str]) -> str | None:
    """Return why, in words of our own: apprise's lines are only read for a status and for the kind of trouble."""
    for line in reversed(said):
        if found := _STATUS.search(line):
            return f"the server answered {found[1]}"
    return "no connection" if any(_NO_CONNECTION.search(line) for line in said) else None
