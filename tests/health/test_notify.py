"""Who is told of alarms: only what was asked for, signed, tried again, never twice meant, and never in the way."""

import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from console.extend import PluginError, notifier, scheduler
from console.health.alarms import Alarms
from console.health.notify import NotifyError, Target, read
from console.notify import Notifications
from tests.health.test_alarms import cause


class Receiver:
    """A server on loopback that answers with `codes`, then 200."""

    def __init__(self):
        self.codes, self.got = [], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((dict(self.headers), body))
                code = outer.codes.pop(0) if outer.codes else 200
                self.send_response(code)
                if code in (301, 302):
                    self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


def raised(severity=1):
    return Alarms().update([cause(severity=severity)], (), time.time())


def until(holds, seconds=10.0):
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    assert holds()


def test_an_alarm_is_told_signed_and_whole(receiver):
    telling = Notifications((Target("webhook", receiver.url, secret="s3cret"),), "riyadh")
    telling.tell(raised())
    until(lambda: telling.sent == 1)
    telling.close()
    ((headers, body),) = receiver.got
    stamp, made = (part.split("=")[1] for part in headers["X-Cardkeeper-Signature"].split(","))
    assert hmac.compare_digest(made, hmac.new(b"s3cret", stamp.encode() + b"." + body, hashlib.sha256).hexdigest())
    assert abs(time.time() - int(stamp)) < 60
    told = json.loads(body)
    assert (told["fleet"], told["what"], told["alarm"]["severity"]) == ("riyadh", "raised", 1)
    assert told["alarm"]["do"]
    assert "s3cret" not in repr(Target("webhook", receiver.url, secret="s3cret"))


def test_it_is_tried_again_with_the_same_key_and_given_up_at_last(receiver):
    receiver.codes = [500, 429, 200]
    telling = Notifications((Target("webhook", receiver.url),), "f", tries_s=(0.0, 0.01, 0.01))
    telling.tell(raised())
    until(lambda: telling.sent == 1)
    assert len({h["Idempotency-Key"] for h, _ in receiver.got}) == 1
    assert len(receiver.got) == 3
    receiver.codes = [500] * 3
    telling.tell(raised())
    until(lambda: telling.given_up == 1)
    assert telling.problem == "HTTP 500"
    receiver.codes = [403]
    telling.tell(raised())
    until(lambda: telling.given_up == 2)
    receiver.codes = [302]
    telling.tell(raised())
    until(lambda: telling.given_up == 3)
    telling.close()
    assert len(receiver.got) == 8, "what is wrong, or sent elsewhere, is not tried again"


def test_only_what_was_asked_for_and_nothing_that_is_put_aside(receiver):
    target = Target("webhook", receiver.url, severities=(1,), what=("raised",))
    alarms = Alarms()
    changes = alarms.update([cause(severity=1), cause("GPU-2", 3)], {"GPU-9"}, 1.0)
    assert [target.wants(c) for c in changes] == [True, False]
    suppressed = Alarms().update([cause()], {"GPU-0"}, 1.0)
    assert not any(target.wants(c) for c in suppressed)


def test_nobody_waits_for_a_receiver_that_is_not_there():
    telling = Notifications((Target("webhook", "http://127.0.0.1:9/x"),), "f", tries_s=(0.0, 30.0))
    begun = time.monotonic()
    telling.tell(raised() * 50)
    assert time.monotonic() - begun < 1.0
    until(lambda: bool(telling.problem))
    telling.close()
    assert time.monotonic() - begun < 8.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[notify]]\nurl = "ftp://x"\n', "not an address"),
        ('[[notify]]\nurl = "https://a:b@x/"\n', "no passwords in addresses"),
        ('[[notify]]\nurl = "https://x/"\nseverity = 1\n', "severity is not a known key"),
        ('[[notify]]\nurl = "https://x/"\nseverities = [7]\n', "1, 2 or 3"),
        ('[[notify]]\nurl = "https://x/"\nwhat = ["everything"]\n', "none of raised"),
        ('[[notify]]\nurl = "https://x/"\nsecret_env = "NOT_THERE"\n', "NOT_THERE is not set"),
        ("[[notify", "notify.toml"),
    ],
)
def test_a_faulty_file_is_told_by_key(tmp_path, text, words):
    path = tmp_path / "notify.toml"
    path.write_text(text)
    with pytest.raises(NotifyError, match=words):
        read(path, {})


def test_a_good_file_and_none(tmp_path):
    path = tmp_path / "notify.toml"
    assert read(path) == ()
    path.write_text('[[notify]]\nurl = "https://x/hook"\nseverities = [1, 2]\nsecret_env = "HOOK"\n')
    (made,) = read(path, {"HOOK": "key"})
    assert (made.plugin, made.severities, made.secret) == ("webhook", (1, 2), "key")


def test_plugins_are_of_their_kind():
    assert notifier("webhook").name == "webhook"
    for call, name in ((notifier, "slurm"), (scheduler, "webhook"), (notifier, "nothing"), (notifier, "../x")):
        with pytest.raises(PluginError):
            call(name)
