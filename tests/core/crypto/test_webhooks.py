from base64 import b64encode
from contextlib import nullcontext

import pytest

from exchange.crypto import CryptoError, WebhookKey, webhook_context

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_signature_is_that_of_the_standard():
    # The example of Standard Webhooks' own reference libraries.
    body = b'{"test": 2432232314}'
    signature = WebhookKey(SECRET).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("change", [{"message_id": "other"}, {"seconds": 1}, {"body": b""}])
def test_signature_is_over_id_time_and_body(change):
    given = {"message_id": "id", "seconds": 0, "body": b"body"}
    key = WebhookKey(SECRET)

    assert key.sign(**given) != key.sign(**{**given, **change})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_not base64",
        "whsec_" + b64encode(bytes(range(23))).decode(),
        "whsec_" + b64encode(bytes(range(65))).decode(),
        "whsec_" + b64encode(bytes(32)).decode(),
        "whsec_\u00e9",
    ],
)
def test_what_is_no_secret_is_refused(text):
    with pytest.raises(CryptoError, match="no webhook secret"):
        WebhookKey(text)


@pytest.mark.parametrize(
    ("key", "is_secret"),
    [
        (bytes(range(23)), False),
        (bytes(range(24)), True),
        (bytes(range(64)), True),
        (bytes(range(65)), False),
        # Few different bytes are no random ones.
        (bytes(range(11)) * 3, False),
        (bytes(range(12)) * 2, True),
    ],
)
def test_secret_has_24_to_64_bytes_and_half_of_24_different_ones(key, is_secret):
    with nullcontext() if is_secret else pytest.raises(CryptoError, match="no webhook secret"):
        WebhookKey.of(key)


@pytest.mark.parametrize("stray", ["!", " ", "\n", "="])
def test_secret_with_a_stray_character_is_refused(stray):
    with pytest.raises(CryptoError, match="no webhook secret"):
        WebhookKey(SECRET[:12] + stray + SECRET[12:])


def test_key_is_written_and_read_as_the_standard_writes_it():
    key = WebhookKey.of(bytes(range(32)))

    assert key.text == "whsec_" + b64encode(bytes(range(32))).decode()
    assert WebhookKey(key.text).sign("id", 0, b"") == key.sign("id", 0, b"")
    with pytest.raises(CryptoError):
        WebhookKey.of(bytes(32))


def test_context_of_a_secret_holds_whose_it_is_and_where_it_signs_for():
    contexts = {
        webhook_context("s", "c", "https://a/"),
        webhook_context("t", "c", "https://a/"),
        webhook_context("s", "d", "https://a/"),
        webhook_context("s", "c", "https://b/"),
    }

    assert len(contexts) == 4
    assert {len(context) for context in contexts} == {32}
