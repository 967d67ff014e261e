"""A real SMTP server on a free port of loopback, and the address under which apprise reaches it."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller

REFUSED = "554 not today"
LOOPBACK = "127.0.0.1"


@dataclass
class SmtpServer:
    """`messages` grows as mail arrives; while `refuses` is set every mail is turned away."""

    port: int
    host: str = LOOPBACK
    messages: list[EmailMessage] = field(default_factory=list)
    refuses: bool = False

    @property
    def url(self) -> str:
        return smtp_url(self.port, self.host)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refuses:
            return REFUSED
        parsed = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.messages.append(parsed)
        return "250 taken"


def smtp_url(port: int, host: str = LOOPBACK) -> str:
    """Return apprise's address of a server on `port`: no TLS, no account."""
    return f"mailto://{host}:{port}?from=watcher@example.org&to=person@example.org&mode=insecure"


def text_of(message: EmailMessage) -> str:
    """Return the plain text of a mail, lines joined as they were sent."""
    body = message.get_body(preferencelist=("plain",))
    assert body is not None, message
    return str(body.get_content()).replace("\r\n", "\n").rstrip("\n")


def html_of(message: EmailMessage) -> str:
    body = message.get_body(preferencelist=("html",))
    assert body is not None, message
    return str(body.get_content()).replace("\r\n", "\n").rstrip("\n")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_smtp(port: int | None = None, host: str = LOOPBACK) -> Iterator[SmtpServer]:
    """Run the server; it answers once this returns, and its port is closed at the end."""
    server = SmtpServer(port or free_port(), host)
    controller = Controller(server, hostname=host, port=server.port)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with running_smtp() as server:
        yield server
