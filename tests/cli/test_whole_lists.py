"""A list that lacks something ends as failed over HTTPS too, as on the host: a program must not take it for whole."""

import json

import httpx2
import pytest

from exchange.client.transport import Transport

ID = "01980000-0000-7000-8000-000000000001"
LISTS = (
    ("act", "list"),
    ("agreement", "list"),
    ("agreement", "amendments", ID),
    ("agreement", "breaches", ID),
    ("agreement", "consultations", ID),
    ("agreement", "crisis", "list", ID),
    ("client", "list"),
    ("client", "signature-key", "list", ID),
    ("policy", "caveat", "list"),
    ("report", "derive", "list"),
    ("report", "destruction", "list"),
    ("report", "list"),
    ("report", "notices"),
    ("report", "onward", "list"),
    ("report", "proxy", "list"),
    ("report", "uploads", "list"),
    ("request", "list"),
    ("webhook", "deliveries", ID),
    ("webhook", "list"),
)


@pytest.fixture
def ask(exchange, enrol, tmp_path, monkeypatch):
    """Run a member's verb whose exchange answers with a list of nothing, and of what it lacks."""
    assert enrol(out=tmp_path / "desk").code == 0
    door = ("--url", "https://127.0.0.1:1")
    for name, file in (("cert", "client.pem"), ("key", "client.key"), ("ca", "ca.pem")):
        door += (f"--{name}", tmp_path / "desk" / file)

    def command(*words, lacking, items=()):
        after = None if words[:2] == ("client", "list") else "c"  # the one list that says where it ends
        answer = {"items": [*items], "next": after, **({"unopened": [{"id": None}] * lacking} if lacking else {})}
        monkeypatch.setattr(Transport, "request", lambda *_, **__: httpx2.Response(200, json=answer))
        return exchange(*words, *door)

    return command


@pytest.mark.parametrize("verb", LISTS, ids=" ".join)
def test_list_that_lacks_something_fails_over_https(ask, verb):
    ran, as_json = ask(*verb, lacking=2), ask(*verb, "--json", lacking=2)

    assert (ran.code, as_json.code) == (1, 1), ran.err
    assert "damaged or was altered" in " ".join(ran.err.split())
    assert "the exchange's operator" in " ".join(ran.err.split())
    assert json.loads(as_json.out) is not None


@pytest.mark.parametrize("verb", LISTS, ids=" ".join)
def test_help_of_a_list_says_how_it_ends(exchange, verb):
    told = exchange(*(word for word in verb if word != ID), "--help").out

    assert " ".join(told.split()).lower().count("exit 1 where") == 1


@pytest.mark.parametrize("verb", LISTS, ids=" ".join)
def test_list_that_is_whole_ends_well(ask, verb):
    ran = ask(*verb, lacking=0)

    assert (ran.code, ran.err if "behind it" not in ran.err else "") == (0, "")


def test_subscriptions_are_shown_with_their_times_as_other_lists_are(ask):
    one = {"id": ID, "url": "https://nor.example/x", "purpose": None, "added_at": "2026-11-30T10:00:00.123456Z"}

    shown, as_json = (ask("webhook", "list", *given, lacking=0, items=[one]) for given in ((), ("--json",)))

    assert ("2026-11-30 10:00:00Z" in shown.out, json.loads(as_json.out)) == (True, [one])
