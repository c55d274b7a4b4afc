"""What is tried again, what is not, and what a refusal becomes."""

import gzip
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from exchange.client import AnswerError, ConnectionFailedError, Endpoint, ExchangeClient, ProblemError, transport
from exchange.client.errors import explain_connection
from exchange.client.transport import Transport
from exchange.crypto import issue_client, new_authority
from exchange.kernel import InvalidError
from exchange.wire import AmendmentBody, ClientChange, MemberAddition, ReportBody

ID = "01980000-0000-7000-8000-000000000001"
MEMBERS = {"items": [{"code": "GBR", "version": 1, "name": "United Kingdom", "standing": "active"}]}


def problem(status, code="not-found", headers=None, **more):
    body = {
        "type": f"urn:exchange:problem:{code}",
        "title": code,
        "status": status,
        "code": code,
        "detail": "no",
        **more,
    }
    return httpx2.Response(status, json=body, headers={"x-request-id": "r-1", **(headers or {})})


def report():
    return ReportBody.model_validate(
        {
            "agreement": "a",
            "scope": "s",
            "kind": "intrep",
            "topic": "cyber",
            "regions": ["EUR"],
            "label": {"policy": "NATO", "classification": "SECRET"},
            "parts": [{"media_type": "text/plain", "name": "a.txt", "content": "x", "encoding": "utf-8"}],
        }
    )


def test_answer_is_read_into_its_model(line):
    assert line(lambda _: httpx2.Response(200, json=MEMBERS)).client.members()[0].code == "GBR"


@pytest.mark.parametrize("purpose", ["défence", "a\nb", "a\r\nX-Other: b", "\udce9", " "])
def test_what_no_header_can_carry_is_refused_before_anything_is_sent(line, purpose):
    one = line(lambda _: httpx2.Response(200, json=MEMBERS))

    with pytest.raises(InvalidError, match=r"`Exchange-Purpose` has other characters than visible ASCII ones"):
        one.client.pull_report("01a21c1e-9be7-78f5-b9df-c36d6554bd3a", purpose=purpose)
    with pytest.raises(InvalidError, match=r"`Exchange-Purpose` has other characters than visible ASCII ones"):
        next(one.client.watch_reports(purpose=purpose))

    assert one.sent == []


def test_fields_of_a_newer_exchange_are_passed_over(line):
    newer = {"items": [{**MEMBERS["items"][0], "born_later": True}], "also": 1}

    assert line(lambda _: httpx2.Response(200, json=newer)).client.members()[0].code == "GBR"


def test_answer_outside_the_contract_is_named(line):
    wrong = {"items": [{"code": 7}]}

    with pytest.raises(AnswerError, match="not what the contract says: items/0/code"):
        line(lambda _: httpx2.Response(200, json=wrong)).client.members()


def test_refusal_carries_code_faults_and_request_id(line):
    fault = {"pointer": "/label/classification", "code": "unknown-level", "detail": "no such level"}

    with pytest.raises(ProblemError) as caught:
        line(lambda _: problem(422, "invalid", errors=[fault])).client.post_report(report())

    assert (caught.value.status, caught.value.code, caught.value.request_id) == (422, "invalid", "r-1")
    assert caught.value.faults[0].pointer == "/label/classification"
    assert "no such level" in str(caught.value)


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b"{}", b'{"code": "x", "errors": [1]}'])
def test_refusal_without_a_problem_says_that_this_is_no_exchange(line, answer):
    with pytest.raises(AnswerError, match="answer 502 without a problem"):
        line(lambda _: httpx2.Response(502, content=answer)).client.whoami()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 413, 415, 422, 500])
def test_refusal_is_not_tried_again(line, status):
    one = line(lambda _: problem(status))

    with pytest.raises(ProblemError):
        one.client.members()

    assert len(one.sent) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_passing_failure_is_tried_three_times_at_most(line, status):
    one = line(lambda _: problem(status, headers={"retry-after": "1"}))

    with pytest.raises(ProblemError):
        one.client.members()

    assert len(one.sent) == 3
    assert one.pauses == [1.0, 1.0]


def test_passing_failure_that_passes_is_not_seen(line):
    answers = [problem(503), httpx2.Response(200, json=MEMBERS)]
    one = line(lambda _: answers.pop(0))

    assert len(one.client.members()) == 1
    assert one.pauses == [0.2]


def test_long_wait_is_told_instead_of_taken(line):
    one = line(lambda _: problem(429, "rate-limited", headers={"retry-after": "3600"}))

    with pytest.raises(ProblemError):
        one.client.members()

    assert one.pauses == []


def test_odd_retry_after_counts_as_none(line):
    one = line(lambda _: problem(503, headers={"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}))

    with pytest.raises(ProblemError):
        one.client.members()

    assert one.pauses == [0.2, 0.8]


def test_what_may_happen_once_only_is_not_repeated(line):
    one = line(lambda _: problem(503))

    with pytest.raises(ProblemError):
        one.client.add_member(MemberAddition(code="GBR", name="United Kingdom"))

    assert len(one.sent) == 1


def test_what_a_rate_refused_was_not_done_and_is_asked_again_whatever_it_is(line):
    (member,) = MEMBERS["items"]
    answers = [problem(429, "rate-limited", headers={"retry-after": "2"}), httpx2.Response(201, json=member)]
    one = line(lambda _: answers.pop(0))
    one.client.add_member(MemberAddition(code="GBR", name="United Kingdom"))

    assert (len(one.sent), one.pauses) == (2, [2.0])


@pytest.mark.parametrize(
    ("asked", "told"), [("60", 60.0), ("1", 1.0), ("-1", None), ("1e9", None), ("9" * 400, None), ("\u0661", None)]
)
def test_refusal_says_when_to_ask_again(line, asked, told):
    one = line(lambda _: problem(429, "rate-limited", headers={"retry-after": asked.encode()}))

    with pytest.raises(ProblemError) as refused:
        one.client.members()

    assert refused.value.retry_after_seconds == told
    assert (f"ask again in {asked} s" in str(refused.value)) == (told is not None)


def test_post_is_repeated_under_one_idempotency_key(line):
    one = line(lambda _: problem(503))

    with pytest.raises(ProblemError):
        one.client.post_report(report())

    keys = {request.headers["idempotency-key"] for request in one.sent}
    assert len(one.sent) == 3
    assert len(keys) == 1


def test_two_posts_have_two_keys_unless_one_is_given(line):
    one = line(lambda _: problem(422, "invalid"))
    for key in (None, None, "mine"):
        with pytest.raises(ProblemError):
            one.client.post_report(report(), idempotency_key=key)

    keys = [request.headers["idempotency-key"] for request in one.sent]
    assert len(set(keys)) == 3
    assert keys[2] == "mine"


def test_broken_connection_is_tried_again_where_that_does_no_harm(line):
    def break_off(_):
        raise httpx2.ReadError("connection reset by peer")

    one = line(break_off)

    with pytest.raises(ConnectionFailedError):
        one.client.members()

    assert len(one.sent) == 3


READS = {
    "uploads": lambda client: client.uploads.open(),
    "subscriptions": lambda client: client.webhooks.all(),
    "deliveries": lambda client: client.webhooks.deliveries(ID),
    "compliance": lambda client: client.duties.compliance(ID),
    "breaches": lambda client: list(client.duties.breaches(ID)),
    "consultations": lambda client: client.duties.consultations(ID),
    "crises": lambda client: client.crises.list(ID),
    "derivations": lambda client: client.derivations.list(),
    "onward": lambda client: client.onward.list(),
    "proxies": lambda client: client.proxies.list(),
    "caveats": lambda client: client.caveats.list(),
    "caveat": lambda client: client.caveats.show(ID),
    "requests": lambda client: list(client.information.list()),
    "request": lambda client: client.information.show(ID),
    "recalled": lambda client: client.life.recalled(ID),
    "outlook": lambda client: client.life.recall_outlook(ID),
    "destructions": lambda client: client.life.destructions(),
    "notices": lambda client: client.life.notices(),
    "whose log": lambda client: client.log.is_shown_entries(),
    "checkpoint": lambda client: client.log.checkpoint(),
}
ONCE = {
    "give up": lambda client: client.uploads.give_up(ID),
    "unsubscribe": lambda client: client.webhooks.remove(ID),
    "propose": lambda client: client.propose_agreement(b"{}"),
    "amend": lambda client: client.amend_agreement(ID, b"{}"),
    "change": lambda client: client.change_client(ID, ClientChange(standing="suspended")),
    "withdraw": lambda client: client.withdraw_agreement(ID),
    "take back": lambda client: client.proxies.revoke(ID),
}


@pytest.mark.parametrize(
    ("ask", "times"), [*((ask, 3) for ask in READS.values()), *((ask, 1) for ask in ONCE.values())]
)
def test_what_reads_is_asked_again_and_what_changes_something_is_not(line, ask, times):
    """Whoever hears no answer does not know whether it was done."""

    def break_off(_):
        raise httpx2.ReadError("connection reset by peer")

    one = line(break_off)
    with pytest.raises(ConnectionFailedError):
        ask(one.client)

    assert len(one.sent) == times


def test_refused_certificate_is_not_tried_again(line):
    def refuse(_):
        raise httpx2.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate")

    one = line(refuse)

    with pytest.raises(ConnectionFailedError, match="not from the authority"):
        one.client.members()

    assert len(one.sent) == 1


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required", "asks for a client certificate"),
        ("[SSL: SSLV3_ALERT_CERTIFICATE_EXPIRED] sslv3 alert certificate expired", "has expired"),
        ("[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca", "does not trust the authority"),
        ("Hostname mismatch, certificate is not valid for 'x'", "for another name"),
        ("certificate verify failed: certificate has expired", "its operator must renew it"),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "does not speak TLS"),
        ("peer closed connection without sending complete message body", "ask again for what is missing"),
        ("[Errno 111] Connection refused", "nothing answers"),
        ("[Errno -2] Name or service not known", "cannot be found"),
        ("timed out", "did not answer in time"),
        ("Server disconnected without sending a response.", "does not accept the certificate"),
        ("something new", "no connection to"),
    ],
)
def test_failed_connection_names_its_cause(line, said, told):
    def fail(_):
        raise httpx2.ConnectError(said)

    with pytest.raises(ConnectionFailedError, match=told):
        line(fail).client.members()


@pytest.mark.parametrize(
    ("began_days_ago", "told"),
    [
        (40, r"client.pem` ended at \S+ \S+Z: ask"),
        (-3, r"client.pem` begins at \S+ \S+Z: look"),
        (3, "does not accept"),
    ],
)
def test_who_is_hung_up_on_is_told_of_the_times_of_its_own_certificate(tmp_path, began_days_ago, told):
    cert = tmp_path / "client.pem"
    began = datetime.now(UTC) - timedelta(days=began_days_ago)
    own = issue_client(new_authority("x", began), "nor", organisation="NOR/NSM", now=began, days=30)
    cert.write_bytes(own.certificate_pem)

    hung_up = explain_connection("https://x", cert, tmp_path, ConnectionError("connection reset by peer"))

    assert re.search(told, hung_up.message)


def test_body_and_type_are_json(line):
    one = line(lambda _: httpx2.Response(201, json=MEMBERS["items"][0]))

    one.client.add_member(MemberAddition(code="GBR", name="United Kingdom"))

    assert one.sent[0].headers["content-type"] == "application/json"
    assert json.loads(one.sent[0].content) == {"code": "GBR", "name": "United Kingdom"}


@pytest.mark.parametrize(("status", "told"), [(500, True), (503, True), (404, False), (422, False)])
def test_failure_of_the_exchange_is_told_with_the_request_to_ask_about(status, told):
    error = ProblemError(status=status, code="x", detail="no", request_id="r-1")

    assert ("tell the exchange's operator of request r-1" in str(error)) is told
    assert "request" not in str(ProblemError(status=status, code="x", detail="no"))


@pytest.mark.parametrize(
    "url",
    ["https://", "https://[::1", "https://:8443", "https://x:99999", "https://x:port", "https://\x07"],
)
def test_what_is_no_address_is_said_to_be_none(line, url):
    endpoint = replace(line(lambda _: httpx2.Response(200, json=MEMBERS)).endpoint, url=url)

    with pytest.raises(ConnectionFailedError, match="is no address: write https://HOST or https://HOST:PORT"):
        ExchangeClient.at(endpoint)


def test_address_of_the_interface_s_paths_is_refused_and_not_asked_in_vain(line):
    endpoint = line(lambda _: httpx2.Response(200, json=MEMBERS)).endpoint

    with pytest.raises(ConnectionFailedError, match="leave `/v1` out"):
        ExchangeClient.at(replace(endpoint, url=f"{endpoint.url}/v1/"))


@pytest.mark.parametrize(
    "url",
    ["https://x", "https://x:8443/", "https://[::1]:8443", "https://xn--bcher-kva.example", "https://bücher.example"],
)
def test_what_is_an_address_is_taken(line, url):
    ExchangeClient.at(replace(line(lambda _: httpx2.Response(200, json=MEMBERS)).endpoint, url=url)).close()


def garbled(_):
    return httpx2.Response(200, headers={"content-encoding": "gzip"}, stream=httpx2.ByteStream(b"no gzip"))


def nested(_):
    return httpx2.Response(400, content=b'{"code": "x", "errors": ' + b"[" * 200_000)


def elsewhere(_):
    page = (piece for piece in [b"<html>"])
    return httpx2.Response(302, headers={"location": "https://elsewhere.test/"}, content=page)


@pytest.mark.parametrize("answer", [garbled, nested, elsewhere])
@pytest.mark.parametrize("ask", [lambda client: client.members(), lambda client: next(client.watch_reports())])
def test_answer_that_no_exchange_gives_is_told_as_such(line, answer, ask):
    """It ended the program with the library's own error, of which none of the SDK's callers knows."""
    one = line(answer)

    with pytest.raises(AnswerError, match="is this an exchange's address"):
        ask(one.client)

    assert len(one.sent) == 1


def test_proxy_that_the_environment_names_is_not_asked(certificates, monkeypatch):
    """It would be shown, in the clear, what is meant for the exchange."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    transport = Transport(
        Endpoint("https://exchange.test", *(certificates / name for name in ("client.pem", "client.key", "ca.pem")))
    )
    transport.close()

    assert transport._http._mounts == {}


def test_nothing_compressed_is_asked_for(certificates):
    files = (certificates / name for name in ("client.pem", "client.key", "ca.pem"))
    transport = Transport(Endpoint("https://exchange.test", *files))

    assert transport._http.headers["accept-encoding"] == "identity"
    transport.close()


class Endless(httpx2.SyncByteStream):
    """Gives pieces for ever, and says how many were taken."""

    taken = 0

    def __iter__(self):
        while True:
            self.taken += 1
            yield bytes(1024)


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.members(),
        lambda client: client.post_report(report()),
        lambda client: client.log.checkpoint(),
    ],
)
def test_answer_that_does_not_end_is_given_up(line, monkeypatch, ask, status):
    """It was read until the client's machine had no memory left."""
    monkeypatch.setattr(transport, "LARGEST_ANSWER_BYTES", 10 * 1024)
    endless = Endless()
    one = line(lambda _: httpx2.Response(status, stream=endless))

    with pytest.raises(AnswerError, match="larger than any that an exchange gives"):
        ask(one.client)

    assert (endless.taken, len(one.sent)) == (11, 1)


def test_refusal_of_a_stream_that_does_not_end_is_given_up(line, monkeypatch):
    monkeypatch.setattr(transport, "LARGEST_ANSWER_BYTES", 10 * 1024)
    endless = Endless()

    with pytest.raises(AnswerError, match="larger than any that an exchange gives"):
        next(line(lambda _: httpx2.Response(404, stream=endless)).client.watch_reports())

    assert endless.taken == 11


@pytest.mark.parametrize("ask", [lambda client: client.members(), lambda client: next(client.watch_reports())])
def test_compressed_answer_is_opened_by_nobody(line, ask):
    bomb = gzip.compress(bytes(1_000_000))
    opened = httpx2.Response(200, headers={"content-encoding": "gzip"}, stream=httpx2.ByteStream(bomb))

    with pytest.raises(AnswerError, match="compressed"):
        ask(line(lambda _: opened).client)


def test_purpose_goes_with_every_post_that_reads_other_reports(line):
    one = line(lambda _: problem(404))
    life, uploads = one.client.life, one.client.uploads
    amendment = AmendmentBody.model_construct()
    for post in (
        lambda **given: one.client.post_report(report(), **given),
        lambda **given: uploads.begin(report(), **given),
        lambda **given: uploads.complete("x", **given),
        lambda **given: life.amend("x", amendment, if_version=3, **given),
    ):
        for given in ({}, {"purpose": "law-enforcement"}):
            with pytest.raises(ProblemError):
                post(**given)

    assert [each.headers.get("exchange-purpose") for each in one.sent] == [None, "law-enforcement"] * 4
    assert one.sent[-1].headers["if-match"] == '"3"'
