from base64 import b64encode

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
