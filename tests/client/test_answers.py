"""Answers are taken for what was asked for, and for nothing else."""

from types import SimpleNamespace

import httpx2
import pytest

from exchange.client import AnswerError

ASKED = "01a206dc-85dc-7553-b174-629c9b01e720"
OTHER = "01a206dc-85dc-7553-b174-629c9b01e721"

ASKS = [
    lambda client, one: client.agreement(one),
    lambda client, one: client.agreement_evidence(one),
    lambda client, one: client.pull_report(one),
    lambda client, one: client.explanation(one),
    lambda client, one: client.acknowledge(one),
    lambda client, one: client.client(one),
    lambda client, one: client.act(one),
    lambda client, one: client.erasure(one),
    lambda client, one: client.audit_entry(one),
]


@pytest.mark.parametrize("ask", ASKS)
def test_answer_about_another_thing_is_not_taken_for_the_one_that_was_asked_for(line, monkeypatch, ask):
    """An exchange could put another agreement before a signatory, and another report into a reader's folder."""
    told = SimpleNamespace(id=OTHER, agreement=OTHER, report=OTHER)
    monkeypatch.setattr("exchange.client.answers.parsed", lambda _model, _content: told)
    one = line(lambda _: httpx2.Response(200))

    with pytest.raises(AnswerError, match=f"the answer is about `{OTHER}`, and `{ASKED}` was asked for: do not use it"):
        ask(one.client, ASKED)

    assert ask(one.client, OTHER) is told


def test_other_agreement_than_the_one_named_is_not_signed(line, monkeypatch):
    monkeypatch.setattr("exchange.client.answers.parsed", lambda _model, _content: SimpleNamespace(id=OTHER))
    one = line(lambda _: httpx2.Response(200))

    with pytest.raises(AnswerError, match="do not use it"):
        one.client.sign_agreement(ASKED, None)

    assert [(each.method, each.url.path) for each in one.sent] == [("GET", f"/v1/agreements/{ASKED}")]
