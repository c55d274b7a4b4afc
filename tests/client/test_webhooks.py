"""A member's webhooks: the acts, and whether a message is the exchange's and of now."""

import httpx2
import pytest

from exchange.client import AnswerError, check_webhook
from exchange.crypto import WebhookKey
from exchange.kernel import MalformedError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "01980000-0000-7000-8000-000000000001"
ROW = {"id": ID, "url": "https://desk.example/told", "purpose": None, "added_at": "2026-06-01T12:00:00Z"}
BODY = b'{"type":"report.visible"}'
SECONDS = 1_700_000_000


def headers(**others: str) -> dict[str, str]:
    signature = WebhookKey(SECRET).sign("m1", SECONDS, BODY)
    return {
        "webhook-id": "m1",
        "webhook-timestamp": str(SECONDS),
        "webhook-signature": f"v1,AAAA {signature}",
        **{name.replace("_", "-"): value for name, value in others.items()},
    }


@pytest.mark.parametrize("now", [SECONDS - 300, SECONDS, SECONDS + 300])
def test_message_of_the_exchange_is_known(now: int):
    assert check_webhook(SECRET, headers(), BODY, now_seconds=now) == "m1"


@pytest.mark.parametrize(
    ("given", "body", "now", "match"),
    [
        (headers(), b"{}", SECONDS, "not signed"),
        (headers(webhook_id="m2"), BODY, SECONDS, "not signed"),
        (headers(webhook_signature=""), BODY, SECONDS, "not signed"),
        (headers(webhook_timestamp=str(SECONDS + 1)), BODY, SECONDS, "not signed"),
        (headers(), BODY, SECONDS + 301, "not of now"),
        (headers(), BODY, SECONDS - 301, "not of now"),
        (headers(webhook_timestamp="soon"), BODY, SECONDS, "no time"),
        ({}, BODY, SECONDS, "no id"),
        (headers(webhook_id=""), BODY, SECONDS, "no id"),
        (headers(webhook_timestamp="".join(chr(0x660 + int(each)) for each in str(SECONDS))), BODY, SECONDS, "no time"),
        (headers(webhook_timestamp="9" * 5_000), BODY, SECONDS, "no id or no time"),
        (headers(webhook_id="m1\udcff"), BODY, SECONDS, "no id"),
        (headers(webhook_signature="v1,\udcff"), BODY, SECONDS, "not signed"),
    ],
)
def test_every_other_message_is_refused(given, body, now, match):
    with pytest.raises(MalformedError, match=match):
        check_webhook(SECRET, given, body, now_seconds=now)


def test_acts_are_those_of_the_contract(line):
    answers = {
        ("POST", "/v1/subscriptions"): {**ROW, "secret": SECRET},
        ("GET", "/v1/subscriptions"): {"items": [ROW]},
        ("DELETE", f"/v1/subscriptions/{ID}"): ROW,
        ("POST", f"/v1/subscriptions/{ID}/test"): {"id": ID},
        ("GET", f"/v1/subscriptions/{ID}/deliveries"): {"items": []},
        ("POST", f"/v1/subscriptions/{ID}/replay"): {"id": ID, "replayed": 3},
    }
    one = line(lambda request: httpx2.Response(200, json=answers[request.method, request.url.path]))
    hooks = one.client.webhooks

    assert hooks.add("https://desk.example/told", purpose="defence").secret == SECRET
    assert [row.id for row in hooks.all()] == [ID]
    assert hooks.remove(ID).id == hooks.test(ID) == ID
    assert (hooks.deliveries(ID), hooks.replay(ID)) == ([], 3)
    assert one.sent[0].headers["exchange-purpose"] == "defence"
    assert {(sent.method, sent.url.path) for sent in one.sent} == answers.keys()
    with pytest.raises(AnswerError, match="no id"):
        hooks.remove("../clients")
