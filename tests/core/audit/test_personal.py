import base64
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.audit import (
    STRANGER,
    Actor,
    EntryDraft,
    EventName,
    Guard,
    Outcome,
    PersonalData,
    fit_text,
    is_period,
    key_subject,
    open_personal,
    parse_entry,
    period_of,
    seal_entry,
)
from exchange.crypto import OpeningError, PersonalKey, SearchTokens
from exchange.kernel import MalformedError

AT = datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC)
PLACE = {"entry_id": "entry-1", "node": "node-a", "boot": "boot-1", "node_seq": 7}
TOKENS = SearchTokens(bytes(32))
KEY = PersonalKey("kid-1", bytes(range(32)))
GUARD = Guard(TOKENS, KEY)
NAME, ADDRESS, THUMBPRINT = "Canary Person", "198.51.100.77", "cd" * 32
SUBJECT_NAME, USER_AGENT = "CN=canary-desk,O=NOR/NSM", "canary-tool/1.0 (Linux)"
CLIENT = Actor("client", "client-1", "NOR", "NOR/NSM", THUMBPRINT, name=NAME, certificate_subject=SUBJECT_NAME)


def draft(actor=CLIENT, source=ADDRESS):
    return EntryDraft(EventName.REPORT_READ, Outcome.PERMITTED, AT, actor, "request-1", source, user_agent=USER_AGENT)


def sealed(given=None, guard=GUARD, **changes):
    return seal_entry(given or draft(), **{**PLACE, **changes}, guard=guard).content


@pytest.mark.parametrize("guard", [GUARD, Guard(TOKENS, None), None])
def test_nothing_personal_stands_in_the_clear(guard):
    content = sealed(guard=guard)

    for canary in (NAME, ADDRESS, THUMBPRINT, NAME.split()[1], SUBJECT_NAME, USER_AGENT):
        assert canary.encode() not in content
        assert base64.b64encode(canary.encode())[:-4] not in content


def test_who_holds_the_key_reads_it_again():
    assert open_personal(parse_entry(sealed()), KEY) == PersonalData(
        NAME, ADDRESS, THUMBPRINT, SUBJECT_NAME, USER_AGENT
    )


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=600)


@given(TEXT, TEXT, TEXT, TEXT, TEXT)
def test_what_is_sealed_is_what_opens(name, source, thumbprint, subject, agent):
    actor = Actor("client", "c", thumbprint=thumbprint, name=name, certificate_subject=subject)
    content = sealed(replace(draft(actor, source), user_agent=agent))
    opened = open_personal(parse_entry(content), KEY)

    assert opened.name == fit_text(name)
    assert opened.source == (None if source in {"", "host", "local"} else fit_text(source))
    assert opened.thumbprint == (fit_text(thumbprint) or None)
    assert opened.certificate_subject == (fit_text(subject) or None)
    assert opened.user_agent == (fit_text(agent) or None)


@pytest.mark.parametrize("key", [PersonalKey("kid-1", bytes(32)), PersonalKey("kid-2", bytes(range(32)))])
def test_another_key_opens_nothing(key):
    with pytest.raises(OpeningError):
        open_personal(parse_entry(sealed()), key)


@pytest.mark.parametrize("changes", [{"entry_id": "entry-2"}, {"boot": "boot-2"}, {"node_seq": 8}])
def test_a_ciphertext_moved_to_another_entry_does_not_open(changes):
    moved = parse_entry(sealed(**changes))
    moved["pii"] = parse_entry(sealed())["pii"]

    with pytest.raises(OpeningError):
        open_personal(moved, KEY)


@pytest.mark.parametrize("text", ["", "!", "AAA", "AAAA\n", "é", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"])
def test_what_is_no_ciphertext_does_not_open(text):
    entry = parse_entry(sealed())
    entry["pii"]["ciphertext"] = text

    with pytest.raises(OpeningError, match="do not belong together"):
        open_personal(entry, KEY)


@pytest.mark.parametrize("respell", ["{}\n", "!{}", " {}", "{}===", "{}=AAAA"])
def test_a_ciphertext_opens_in_one_spelling(respell):
    entry = parse_entry(sealed())
    entry["pii"]["ciphertext"] = respell.format(entry["pii"]["ciphertext"])

    with pytest.raises(OpeningError, match="do not belong together"):
        open_personal(entry, KEY)


def test_an_entry_without_personal_data_has_none_to_open():
    with pytest.raises(OpeningError, match=r"^the entry holds no personal data under this key$"):
        open_personal(parse_entry(sealed(draft(Actor("host"), "host"), guard=None)), KEY)


@pytest.mark.parametrize(
    ("guard", "source", "thumbprint"),
    [
        (None, "withheld", None),
        (Guard(TOKENS, None), TOKENS.of_address(ADDRESS), TOKENS.of_thumbprint(THUMBPRINT)),
        (GUARD, TOKENS.of_address(ADDRESS), TOKENS.of_thumbprint(THUMBPRINT)),
    ],
)
def test_an_entry_shows_tokens_or_nothing(guard, source, thumbprint):
    entry = parse_entry(sealed(guard=guard))

    assert (entry["source"], entry["actor"].get("thumbprint")) == (source, thumbprint)
    assert ("pii" in entry) == (guard is GUARD)


@pytest.mark.parametrize("source", ["", "host", "local"])
def test_places_of_the_exchange_s_own_stay_as_they_are(source):
    given = draft(Actor("unknown", thumbprint=""), source)

    assert key_subject(given) is None
    entry = parse_entry(sealed(given, guard=None))
    assert (entry["source"], entry["actor"]) == (source, {"kind": "unknown", "thumbprint": ""})


@pytest.mark.parametrize(
    ("actor", "source", "subject"),
    [
        (CLIENT, "host", "client-1"),
        (Actor("client", "client-1"), ADDRESS, "client-1"),
        (Actor("client"), ADDRESS, STRANGER),
        (Actor("unknown", thumbprint=THUMBPRINT), "", STRANGER),
        (Actor("unknown"), ADDRESS, STRANGER),
        (Actor("host", "id"), ADDRESS, STRANGER),
        (Actor("client", "client-1", name=NAME), "local", "client-1"),
        (Actor("service"), "local", None),
    ],
)
def test_personal_data_is_kept_per_client_and_all_strangers_together(actor, source, subject):
    assert key_subject(draft(actor, source)) == subject


@pytest.mark.parametrize(
    ("moment", "months", "period"),
    [
        (AT, 1, "2026-10"),
        (AT + timedelta(seconds=1), 1, "2026-11"),
        (AT.astimezone(timezone(timedelta(hours=5))), 1, "2026-10"),
        (AT, 3, "2026-10"),
        (AT, 6, "2026-07"),
        (AT, 12, "2026-01"),
        (datetime(2026, 12, 1, tzinfo=UTC), 3, "2026-10"),
        (datetime(2026, 1, 1, tzinfo=UTC), 2, "2026-01"),
        (datetime(987, 4, 1, tzinfo=UTC), 2, "0987-03"),
    ],
)
def test_period_is_named_by_its_first_month(moment, months, period):
    assert period_of(moment, months=months) == period
    assert is_period(period)


def test_period_is_that_of_utc_wherever_the_machine_stands(monkeypatch):
    # The key of a period is destroyed with it: two nodes must not name one moment's period apart.
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "EST5")
        time.tzset()
        period = period_of(datetime(2026, 10, 31, 22, tzinfo=timezone(timedelta(hours=-5))))
    time.tzset()

    assert period == "2026-11"


def test_every_month_is_a_period_and_a_period_is_a_month_unless_told():
    months = [period_of(datetime(2026, month, 1, tzinfo=UTC)) for month in range(1, 13)]

    assert months == [f"2026-{month:02}" for month in range(1, 13)]
    assert all(map(is_period, months))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026",
        "2026-13",
        "2026-00",
        "2026-1",
        "26-10",
        "2026-10-01",
        "2026-1O",
        "²026-10",
        "2026 10",
        "-2026-10",
        "abcd-10",
        "٢٠٢٦-١٠",
    ],
)
def test_what_is_no_period_is_refused(text):
    assert not is_period(text)


@pytest.mark.parametrize(
    "pii", [{}, {"kid": "k"}, {"kid": 1, "ciphertext": ""}, {"kid": "", "ciphertext": "", "x": ""}, []]
)
def test_field_of_another_shape_is_no_entry(pii):
    changed = json.dumps({**parse_entry(sealed()), "pii": pii}, sort_keys=True, separators=(",", ":")).encode()

    with pytest.raises(MalformedError, match="pii"):
        parse_entry(changed)
