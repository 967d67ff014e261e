"""A message reaches a real mail server; a channel that is down is told; an address appears nowhere."""

import logging
import traceback
from collections.abc import Iterator

import pytest

from tests.notify.examples import ANSWER, FAILED, event
from tests.real.smtp import SmtpServer, free_port, html_of, running_smtp, smtp_url, text_of
from tests.real.web import Reply, Web, running_web
from watcher.errors import NotifyFailed
from watcher.model.notice import Message
from watcher.notify.mail import render_html
from watcher.notify.message import Digest, compose
from watcher.notify.send import AppriseNotifier, build_notifiers, channel_name, check_url

HELLO = Message("[orin-nx] hello", "first line\n\n  second, with <b>marks</b> & *stars*")
SECRET = "Sup3rS3cretT0ken"


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with running_smtp() as server:
        yield server


def test_a_message_arrives_by_mail_as_it_was_composed(smtp: SmtpServer) -> None:
    message = compose(Digest("orin-nx", ANSWER, events=(event(),), trials=(FAILED,)))
    AppriseNotifier(smtp.url).send(message)
    (mail,) = smtp.messages
    assert mail["Subject"] == message.title
    assert mail["To"] == "person@example.org"
    assert text_of(mail).split() == message.body.split()
    assert html_of(mail) == render_html(message)


def test_an_address_that_asks_for_text_gets_text_alone(smtp: SmtpServer) -> None:
    AppriseNotifier(f"{smtp.url}&format=text").send(HELLO)
    (mail,) = smtp.messages
    assert mail.get_content_type() == "text/plain"
    assert text_of(mail).split() == HELLO.body.split()


def test_marks_in_a_text_stay_text(smtp: SmtpServer) -> None:
    AppriseNotifier(smtp.url).send(HELLO)
    (mail,) = smtp.messages
    assert text_of(mail).split() == HELLO.body.split()
    assert "with &lt;b&gt;marks&lt;/b&gt; &amp; *stars*" in html_of(mail)


def test_a_channel_that_is_down_is_told_and_takes_the_message_later() -> None:
    port = free_port()
    notifier = AppriseNotifier(smtp_url(port))
    with pytest.raises(NotifyFailed, match=r"did not take the message.*because=no connection"):
        notifier.send(HELLO)
    with running_smtp(port) as server:
        notifier.send(HELLO)
        assert [mail["Subject"] for mail in server.messages] == [HELLO.title]


def test_a_mail_that_is_turned_away_is_a_failure(smtp: SmtpServer) -> None:
    smtp.refuses = True
    with pytest.raises(NotifyFailed, match="did not take the message"):
        AppriseNotifier(smtp.url).send(HELLO)


def web_channel(web: Web) -> str:
    return f"json://user:{SECRET}@{web.host}/{SECRET}/?+X-Token={SECRET}"


def test_the_answer_of_a_web_channel_is_told_by_its_status() -> None:
    with running_web() as web:
        web.fallback = lambda _: Reply(403, SECRET.encode())
        with pytest.raises(NotifyFailed, match="the server answered 403"):
            AppriseNotifier(web_channel(web)).send(HELLO)
        assert web.asked, "nothing was sent"


def test_the_address_appears_in_no_error_log_or_name(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with running_web() as web:
        web.fallback = lambda _: Reply(500, b"no")
        urls = (web_channel(web), f"json://user:{SECRET}@127.0.0.1:{free_port()}/{SECRET}", f"slack://{SECRET}", SECRET)
        for notifier in build_notifiers(urls):
            with pytest.raises(NotifyFailed) as raised:
                notifier.send(HELLO)
            said = "".join(traceback.format_exception(raised.value))
            assert SECRET not in said + repr(raised.value.fields) + repr(notifier) + notifier.channel
            assert raised.value.__context__ is None
            assert SECRET not in repr(check_url(notifier._url))
    captured = capfd.readouterr()
    assert SECRET not in caplog.text + captured.out + captured.err


def test_the_loggers_are_given_back(smtp: SmtpServer, caplog: pytest.LogCaptureFixture) -> None:
    AppriseNotifier(smtp.url).send(HELLO)
    logging.getLogger("urllib3.connectionpool").warning("heard again")
    assert "heard again" in caplog.text


def test_an_address_that_apprise_does_not_know_is_told_before_and_while_sending() -> None:
    assert check_url("nonsense://somewhere") == "the nonsense address is not one that apprise understands"
    assert check_url("no address at all") == "the unknown address is not one that apprise understands"
    with pytest.raises(NotifyFailed, match=r"correct notify\.urls"):
        AppriseNotifier("nonsense://somewhere").send(HELLO)


def test_a_good_address_has_no_fault() -> None:
    assert check_url(smtp_url(25)) is None


def test_a_channel_keeps_its_name_and_differs_from_others() -> None:
    one, other = "mailto://u:p@one.example", "mailto://u:p@other.example"
    assert channel_name(one) == channel_name(one)
    assert channel_name(one) != channel_name(other)
    assert channel_name(one).startswith("mailto:")
    assert [notifier.channel for notifier in build_notifiers([one, other, one])] == [
        channel_name(one),
        channel_name(other),
    ]


def test_making_notifiers_does_not_import_apprise() -> None:
    import subprocess
    import sys

    program = "import sys; from watcher.notify.send import build_notifiers; build_notifiers(['json://a']); "
    program += "print('apprise' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
