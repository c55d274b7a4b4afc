"""Posting: whole or not at all, inside the agreement only, every fault named, every refusal on the record."""

import asyncio
import hashlib
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.custody import CustodyUnavailableError
from exchange.kernel import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    StalePolicyError,
    UnavailableError,
    new_id,
)
from exchange.markings import Label
from exchange.reports import PostedPart, Precedence
from exchange.usecases import ClearanceChange
from tests.support.lived import IN_ONE_WORLD
from tests.support.world import AGREEMENT, NOW, World

ABSENT = new_id(NOW, bytes)
SECRET = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))


def part(
    label: Label | None = None, name: str = "a.txt", content: bytes = b"text", media: str = "text/plain"
) -> PostedPart:
    return PostedPart(label, media, name, content)


async def count(world: World, table: str) -> int:
    return int(world.sql(f"SELECT count(*) FROM {table}")[0][0])


async def test_posted_header_holds_what_was_posted_and_who(populated: World) -> None:
    parts = (
        part(),
        part(
            Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR")),
            "b.bin",
            b"\x00\xff",
            "application/octet-stream",
        ),
    )
    posted = populated.posted(
        parts=parts, valid_until=NOW + timedelta(days=1), declassify_on=date(2040, 1, 1), precedence=Precedence.FLASH
    )
    made = await populated.attempt(usecases.post_report(populated.services, populated.call("GBR contributor"), posted))

    answer = made.value.value
    header = json.loads(answer.header_json)
    assert not answer.is_replayed
    assert {name: header[name] for name in ("id", "agreement", "scope", "originator", "kind", "topic", "regions")} == {
        "id": answer.report_id,
        "agreement": populated.agreement_id,
        "scope": "cyber-threats",
        "originator": "GBR",
        "kind": "intrep",
        "topic": "cyber.apt",
        "regions": ["EUR"],
    }
    assert (header["marking"], header["status"]) == ("NATO SECRET//REL TO GBR, NOR", "current")
    assert header["posted_at"] == "2026-06-01T12:00:00Z"
    assert (header["valid_until"], header["declassify_on"]) == ("2026-06-02T12:00:00Z", "2040-01-01")
    assert [(p["number"], p["name"], p["size_bytes"], p["protection"]) for p in header["parts"]] == [
        (1, "a.txt", 4, "exchange"),
        (2, "b.bin", 2, "exchange"),
    ]
    assert header["parts"][1]["sha256"] == hashlib.sha256(b"\x00\xff").hexdigest()
    assert header["parts"][0]["label"] == header["label"]
    assert "recipients" not in header


async def test_entry_of_a_post_is_in_the_transaction_and_holds_no_content(populated: World) -> None:
    made = await populated.attempt(
        usecases.post_report(
            populated.services, populated.call("GBR contributor"), populated.posted(content=b"canary-8812")
        )
    )

    entry = made.entry
    assert entry["id"] == made.value.receipt.entry
    assert (entry["type"], entry["decision"], entry["owner"], entry["bytes"]) == (
        "report.posted",
        "permitted",
        "GBR",
        11,
    )
    assert entry["object"] == {"type": "report", "id": made.value.value.report_id, "version": 1}
    assert (entry["agreement"], entry["scope"]) == (populated.agreement_id, "cyber-threats")
    assert entry["label"]["classification"] == "SECRET"
    assert "canary" not in json.dumps(entry).lower()


async def test_nothing_readable_is_kept(populated: World) -> None:
    await populated.post(content=b"canary-8812", subject="Canary subject 4711")
    rows = [*populated.sql("SELECT * FROM report"), *populated.sql("SELECT * FROM report_part")]
    rows += [*populated.sql("SELECT * FROM release_class"), *populated.sql("SELECT content FROM audit_entry")]
    kept = b" ".join(value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row)

    assert b"canary" not in kept.lower()
    assert b"report.txt" not in kept


FAULTS: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("unknown scope", {"scope": "weather"}, [("/scope", "unknown-scope")]),
    (
        "unknown scope and others",
        {"scope": "weather", "kind": "rumour", "subject": "", "label": Label("NATO", "SECRET", releasable_to=("FIN",))},
        [
            ("/scope", "unknown-scope"),
            ("/kind", "unknown-kind"),
            ("/subject", "bad-text"),
            ("/label/releasable_to/0", "unknown-member"),
        ],
    ),
    ("unknown topic", {"topic": "astrology"}, [("/topic", "unknown-topic")]),
    ("topic outside", {"topic": "terrorism.travel"}, [("/topic", "outside-scope-topic")]),
    ("unknown kind", {"kind": "rumour"}, [("/kind", "unknown-kind")]),
    ("kind outside", {"kind": "imagery"}, [("/kind", "outside-scope-kind")]),
    ("unknown region", {"regions": ("EUR", "MOON")}, [("/regions/1", "unknown-region")]),
    ("region outside", {"regions": ("NAM",)}, [("/regions/0", "outside-scope-region")]),
    ("no region", {"regions": ()}, [("/regions", "empty")]),
    (
        "above the ceiling",
        {"label": Label("NATO", "TOP SECRET", releasable_to=("NOR",))},
        [("/label/classification", "above-ceiling")],
    ),
    ("unknown level", {"label": Label("NATO", "Secret")}, [("/label/classification", "unknown-level")]),
    ("empty level", {"label": Label("NATO", "")}, [("/label/classification", "unknown-level")]),
    ("unknown policy", {"label": Label("MOON", "SECRET")}, [("/label/policy", "unknown-policy")]),
    (
        "unknown caveat",
        {"label": Label("NATO", "SECRET", handling=("WHISPER",))},
        [("/label/handling/0", "unknown-caveat")],
    ),
    (
        "unknown compartment",
        {"label": Label("NATO", "SECRET", compartments=("NOSUCH",))},
        [("/label/compartments/0", "unknown-compartment")],
    ),
    (
        "compartment outside",
        {"label": Label("NATO", "SECRET", compartments=("BOHEMIA",))},
        [("/label/compartments/0", "missing-compartment")],
    ),
    (
        "unknown member",
        {"label": Label("NATO", "SECRET", releasable_to=("FIN", "NOR"))},
        [("/label/releasable_to/0", "unknown-member")],
    ),
    (
        "malformed member",
        {"label": Label("NATO", "SECRET", releasable_to=("nor",))},
        [("/label/releasable_to/0", "malformed-member"), ("/label/releasable_to/0", "unknown-member")],
    ),
    (
        "part above",
        {"parts": (part(), part(Label("NATO", "TOP SECRET"), "b.txt"))},
        [("/parts/1/label", "above-report")],
    ),
    (
        "part wider controls",
        {"parts": (part(Label("NATO", "SECRET", handling=("ORCON",), releasable_to=("GBR", "NOR"))),)},
        [("/parts/0/label", "above-report")],
    ),
    ("part unknown", {"parts": (part(Label("NATO", "MAYBE")),)}, [("/parts/0/label/classification", "unknown-level")]),
    ("no part", {"parts": ()}, [("/parts", "empty")]),
    ("expired already", {"valid_until": NOW}, [("/valid_until", "expired")]),
    ("declassified already", {"declassify_on": NOW.date()}, [("/declassify_on", "in-the-past")]),
    ("path in a name", {"parts": (part(name="../x"),)}, [("/parts/0/name", "bad-name")]),
    (
        "not the type",
        {"parts": (part(content=b"{", media="application/json"),)},
        [("/parts/0/content", "wrong-content")],
    ),
    ("odd subject", {"subject": "a\u202eb"}, [("/subject", "bad-text")]),
    ("supersedes no id", {"supersedes": "\x00"}, [("/supersedes", "not-an-id")]),
    ("references no id", {"references": ("x",)}, [("/references/0", "not-an-id")]),
    (
        "too many references",
        {"references": tuple(new_id(NOW, n.to_bytes) for n in range(51))},
        [("/references", "too-many")],
    ),
    (
        "all at once",
        {
            "topic": "x",
            "kind": "x",
            "regions": ("X",),
            "label": Label("NATO", "x"),
            "parts": (),
            "references": (ABSENT,),
        },
        [
            ("/references/0", "unknown-report"),
            ("/kind", "unknown-kind"),
            ("/topic", "unknown-topic"),
            ("/regions/0", "unknown-region"),
            ("/label/classification", "unknown-level"),
            ("/parts", "empty"),
        ],
    ),
]


async def test_post_names_every_fault_and_writes_nothing(populated: World, subtests: pytest.Subtests) -> None:
    for name, changes, faults in FAULTS:
        made = await populated.attempt(
            usecases.post_report(populated.services, populated.call("GBR contributor"), populated.posted(**changes))
        )

        with subtests.test(name):
            assert isinstance(made.error, InvalidError)
            assert [(fault.pointer, fault.code) for fault in made.error.faults] == faults
            assert (made.entry["type"], made.entry["decision"]) == ("report.posted", "refused")
            assert made.entry["detail"] == {"codes": list(dict.fromkeys(code for _, code in faults))}
            assert made.entry["agreement"] == populated.agreement_id
            assert made.error.receipt.entry == made.entry["id"]
    assert [await count(populated, table) for table in ("report", "report_part", "release_class")] == [0, 0, 0]


@pytest.mark.parametrize("agreement", [ABSENT, "", "x", "\x00", "\ud800"])
@IN_ONE_WORLD
async def test_absent_agreement_and_one_of_others_are_the_same(unchanged: World, agreement: str) -> None:
    services = unchanged.services
    foreign = await unchanged.attempt(
        usecases.post_report(services, unchanged.call("ESP contributor"), unchanged.posted())
    )
    absent = await unchanged.attempt(
        usecases.post_report(services, unchanged.call("ESP contributor"), unchanged.posted(agreement=agreement))
    )

    assert isinstance(foreign.error, NotFoundError)
    assert (type(absent.error), str(absent.error)) == (NotFoundError, str(foreign.error))
    assert (foreign.entry["decision"], absent.entry["decision"]) == ("refused", "refused")
    assert foreign.entry["agreement"] == unchanged.agreement_id
    assert "agreement" not in absent.entry


async def test_party_that_does_not_contribute_is_told_so(populated: World) -> None:
    made = await populated.attempt(
        usecases.post_report(populated.services, populated.call("DNK contributor"), populated.posted())
    )

    assert isinstance(made.error, InvalidError)
    assert [(fault.pointer, fault.code) for fault in made.error.faults] == [("/scope", "not-a-party")]


async def test_reader_cannot_post(populated: World) -> None:
    made = await populated.attempt(
        usecases.post_report(populated.services, populated.call("GBR reader"), populated.posted())
    )

    assert isinstance(made.error, ForbiddenError)
    assert made.error.code == "role-missing"


async def test_nothing_is_posted_before_all_have_signed(populated: World) -> None:
    agreement = await populated.agree(signatories=("GBR", "NOR"))
    made = await populated.attempt(
        usecases.post_report(populated.services, populated.call("GBR contributor"), populated.posted())
    )

    assert agreement == populated.agreement_id
    assert isinstance(made.error, ConflictError)
    assert made.error.code == "agreement-not-in-force"
    assert made.entry["detail"] == {"codes": ["agreement-not-in-force"]}


@pytest.mark.parametrize(
    ("moment", "is_posted"),
    [
        (datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC), False),
        (datetime(2026, 7, 1, tzinfo=UTC), True),
        (datetime(2030, 12, 31, 23, 59, 59, tzinfo=UTC), True),
        (datetime(2031, 1, 1, tzinfo=UTC), False),
    ],
)
async def test_reports_are_posted_from_the_first_day_to_the_last(
    populated: World, moment: datetime, is_posted: bool
) -> None:
    await populated.agree(AGREEMENT.replace("2026-01-01", "2026-07-01"))
    populated.clock.now = moment
    made = await populated.attempt(
        usecases.post_report(populated.services, populated.call("GBR contributor"), populated.posted())
    )

    assert (made.error is None) is is_posted
    assert is_posted or isinstance(made.error, ConflictError)


async def test_member_that_suspended_its_part_posts_nothing_while_others_do(populated: World) -> None:
    services = populated.services
    await populated.post("NOR contributor")
    await usecases.suspend_agreement(services, populated.call("NOR signatory"), populated.agreement_id)
    made = await populated.attempt(
        usecases.post_report(services, populated.call("NOR contributor"), populated.posted())
    )

    assert isinstance(made.error, ConflictError)
    assert made.error.code == "agreement-not-in-force"
    assert await populated.post("GBR contributor")


async def test_clearance_is_not_asked_of_a_contributor(populated: World) -> None:
    await populated.enrol("sensor", "GBR", "contributor", level="UNCLASSIFIED", until=NOW - timedelta(days=1))

    assert await populated.post("sensor")


# ── sources ──────────────────────────────────────────────────────────────────────────────────────────────────


async def post_on(world: World, name: str, **others: Any) -> Any:
    return await world.attempt(usecases.post_report(world.services, world.call(name), world.posted(**others)))


async def test_superseded_report_is_marked_in_the_same_transaction(populated: World) -> None:
    first = await populated.post()
    second = await populated.post(supersedes=first)

    rows = dict(populated.sql("SELECT id, status FROM report"))
    assert rows == {first: "superseded", second: "current"}
    pulled = await usecases.pull_report(populated.services, populated.call("NOR reader"), first)
    assert json.loads(pulled.value.header_json)["status"] == "superseded"


async def test_only_the_originator_supersedes(populated: World) -> None:
    first = await populated.post("GBR contributor")
    await populated.enrol("NOR analyst", "NOR", "reader", "contributor")
    made = await post_on(populated, "NOR analyst", supersedes=first)
    absent = await post_on(populated, "NOR analyst", supersedes=ABSENT)

    assert [(fault.pointer, fault.code) for fault in made.error.faults] == [("/supersedes", "unknown-report")]
    assert str(made.error) == str(absent.error)
    assert populated.sql("SELECT status FROM report") == [("current",)]


async def test_references_are_to_what_the_poster_may_read(populated: World) -> None:
    shared = await populated.post("GBR contributor")
    hidden = await populated.post("GBR contributor", label=Label("NATO", "SECRET", releasable_to=("DNK", "GBR")))
    await populated.enrol("NOR analyst", "NOR", "reader", "contributor")
    made = await post_on(populated, "NOR analyst", references=(shared, hidden, ABSENT))
    allowed = await post_on(populated, "NOR analyst", references=(shared,))

    assert [(fault.pointer, fault.code) for fault in made.error.faults] == [
        ("/references/1", "unknown-report"),
        ("/references/2", "unknown-report"),
    ]
    assert len({fault.message for fault in made.error.faults}) == 1
    assert allowed.error is None


async def test_tear_line_is_not_enough_to_build_on(populated: World) -> None:
    low = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))
    torn = await populated.post("GBR contributor", parts=(part(), part(low, "b.txt")))
    await populated.enrol("NOR junior", "NOR", "reader", "contributor", level="RESTRICTED")
    made = await post_on(populated, "NOR junior", references=(torn,))

    assert [fault.code for fault in made.error.faults] == ["unknown-report"]


BUILT_ON_SECRET = [
    (SECRET, True),
    (Label("NATO", "SECRET", releasable_to=("GBR",)), True),
    (Label("NATO", "SECRET", handling=("ORCON",), releasable_to=("GBR", "NOR")), True),
    (Label("NATO", "CONFIDENTIAL", releasable_to=("GBR", "NOR")), False),
    (Label("NATO", "SECRET", releasable_to=("DNK", "GBR", "NOR")), False),
]


async def test_what_builds_on_a_report_is_marked_at_least_as_high(populated: World, subtests: pytest.Subtests) -> None:
    for (label, is_high_enough), field in itertools.product(BUILT_ON_SECRET, ("supersedes", "references")):
        source = await populated.post()
        made = await post_on(
            populated, "GBR contributor", label=label, **{field: source if field == "supersedes" else (source,)}
        )

        with subtests.test(field, label=label):
            assert (made.error is None) is is_high_enough
            if not is_high_enough:
                assert [fault.code for fault in made.error.faults] == ["below-source"]


async def test_unknown_purpose_does_not_tell_which_sources_exist(populated: World) -> None:
    hidden = await populated.post("GBR contributor", label=Label("NATO", "SECRET"))
    await populated.enrol("NOR analyst", "NOR", "reader", "contributor")
    call = populated.call("NOR analyst", purpose="curiosity")
    made = [
        await populated.attempt(usecases.post_report(populated.services, call, populated.posted(references=(report,))))
        for report in (hidden, ABSENT)
    ]

    assert str(made[0].error) == str(made[1].error)
    assert [attempt.entry["detail"] for attempt in made] == [{"codes": ["unknown-purpose"]}] * 2


# ── again ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_is_kept_for_a_key_tells_nobody_whether_a_guess_was_posted(populated: World) -> None:
    services, posted = populated.services, populated.posted(references=())
    made = await usecases.post_report(services, populated.call("GBR contributor"), posted, idempotency_key="k-1")
    told = {name: "" if name == "marking" else each for name, each in json.loads(made.value.header_json).items()}
    guessed = {name: each for name, each in told.items() if name not in {"id", "posted_at", "status"}}
    guessed["parts"] = [{**each, "marking": ""} for each in guessed["parts"]]
    ((kept,),) = populated.sql("SELECT request_digest FROM idempotency")

    assert len(kept) == 64
    assert hashlib.sha256(json.dumps(guessed, sort_keys=True).encode()).hexdigest() != kept


async def test_same_key_and_report_is_answered_again_and_posted_once(populated: World) -> None:
    services, posted = populated.services, populated.posted(references=())
    first = await usecases.post_report(services, populated.call("GBR contributor"), posted, idempotency_key="k-1")
    populated.clock.advance(timedelta(hours=23, minutes=59))
    again = await populated.attempt(
        usecases.post_report(services, populated.call("GBR contributor"), posted, idempotency_key="k-1")
    )

    assert again.value.value.is_replayed
    assert (again.value.value.report_id, again.value.value.header_json) == (
        first.value.report_id,
        first.value.header_json,
    )
    assert again.entry["object"]["id"] == first.value.report_id
    assert again.entry["detail"] == {"replayed": "yes"}
    assert await count(populated, "report") == 1


async def test_same_key_with_another_report_conflicts_and_is_recorded(populated: World) -> None:
    services, call = populated.services, populated.call("GBR contributor")
    await usecases.post_report(services, call, populated.posted(), idempotency_key="k-1")
    for changes in ({"subject": "other"}, {"content": b"other"}, {"label": replace(SECRET, releasable_to=())}):
        made = await populated.attempt(
            usecases.post_report(services, call, populated.posted(**changes), idempotency_key="k-1")
        )

        assert isinstance(made.error, ConflictError)
        assert (made.entry["type"], made.entry["decision"]) == ("report.posted", "refused")
        assert made.entry["detail"] == {"codes": ["conflict"]}
        assert "object" not in made.entry
    assert await count(populated, "report") == 1


async def test_key_is_the_client_s_own_and_forgotten_after_a_day(populated: World) -> None:
    services, posted = populated.services, populated.posted()
    await populated.enrol("second sensor", "GBR", "contributor")
    ids = set()
    for name in ("GBR contributor", "second sensor"):
        made = await usecases.post_report(services, populated.call(name), posted, idempotency_key="k-1")
        ids.add(made.value.report_id)
    populated.clock.advance(timedelta(hours=24))
    late = await usecases.post_report(services, populated.call("GBR contributor"), posted, idempotency_key="k-1")

    assert len(ids | {late.value.report_id}) == 3


async def test_posts_with_one_key_at_once_make_one_report(populated: World) -> None:
    posted = populated.posted()
    async with populated.another_node() as second:
        made = await asyncio.gather(
            *(
                usecases.post_report(services, populated.call("GBR contributor"), posted, idempotency_key="k-1")
                for services in (populated.services, second, populated.services, second)
            )
        )

    assert len({recorded.value.report_id for recorded in made}) == 1
    assert sorted(recorded.value.is_replayed for recorded in made) == [False, True, True, True]


async def test_key_whose_report_is_gone_conflicts(populated: World) -> None:
    services, call = populated.services, populated.call("GBR contributor")
    await usecases.post_report(services, call, populated.posted(), idempotency_key="k-1")
    for table in ("report_part", "report"):
        populated.sql(f"DELETE FROM {table}")
    made = await populated.attempt(usecases.post_report(services, call, populated.posted(), idempotency_key="k-1"))

    assert isinstance(made.error, ConflictError)
    assert made.entry["decision"] == "refused"


# ── under a policy that moves ────────────────────────────────────────────────────────────────────────────────


def moving(world: World, monkeypatch: pytest.MonkeyPatch, move: Callable[[int], Any]) -> list[int]:
    """Have `move(n)` happen between the decision and the n-th write."""
    store = world.services.store
    tries: list[int] = []
    real = store.post_report

    async def post_report(*arguments: Any, **named: Any) -> Any:
        tries.append(len(tries))
        await move(len(tries))
        return await real(*arguments, **named)

    monkeypatch.setattr(store, "post_report", post_report)
    return tries


async def test_post_is_decided_again_when_the_policy_moved(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def move(number: int) -> None:
        if number == 1:
            change = ClearanceChange("CONFIDENTIAL")
            client = populated.clients["ESP reader"]
            await usecases.change_clearance(populated.services, populated.call(None), client.id, change)

    tries = moving(populated, monkeypatch, move)
    await populated.post()

    assert len(tries) == 2
    assert await count(populated, "report") == 1


async def test_agreement_suspended_during_the_post_stops_it(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def move(number: int) -> None:
        await usecases.suspend_agreement(populated.services, populated.call("GBR signatory"), populated.agreement_id)

    moving(populated, monkeypatch, move)
    with pytest.raises(ConflictError) as refused:
        await populated.post()

    assert refused.value.code == "agreement-not-in-force"
    assert await count(populated, "report") == 0


async def test_nothing_is_posted_under_another_law(populated: World) -> None:
    populated.sql("UPDATE policy_state SET policy_digest = 'other', policy_version = policy_version + 1")
    with pytest.raises(UnavailableError, match="other policy files"):
        await populated.post()

    assert await count(populated, "report") == 0


async def test_post_gives_up_when_the_policy_never_rests(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def move(number: int) -> None:
        raise StalePolicyError("moved")

    tries = moving(populated, monkeypatch, move)
    with pytest.raises(UnavailableError, match="faster"):
        await populated.post()

    assert len(tries) == 5
    assert await count(populated, "report") == 0


async def test_without_custody_nothing_is_posted(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone(*arguments: object) -> None:
        raise CustodyUnavailableError("no keys")

    monkeypatch.setattr(populated.services.custodian, "wrap", gone)
    with pytest.raises(CustodyUnavailableError):
        await populated.post()

    assert await count(populated, "report") == 0
