"""Rows changed behind the exchange's back: nothing of them is released, the log says what did not open, and what is
whole beside them is served."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from exchange import usecases
from exchange.kernel import NotFoundError, UnavailableError
from exchange.markings import Label
from exchange.release import class_as_json, class_digest, class_from_json
from exchange.reports import PostedPart
from exchange.usecases import ListQuery, Recorded, Services
from exchange.usecases.reading.list_reports import ListedReports
from tests.support.in_turn import InTurn
from tests.support.lived import MakeLived
from tests.support.placing import place_entries
from tests.support.put_back import columns_of, kept_rows
from tests.support.world import Attempt, World

SECRET = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))
LOW = Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR"))
PARTS = (
    PostedPart(None, "text/plain", "1.txt", b"the whole story"),
    PostedPart(LOW, "text/plain", "2.txt", b"what all may know"),
    PostedPart(None, "text/plain", "3.txt", b"the rest of the story"),
)
Tamper = Callable[[World, str, str], None]
"""Changes the world; the reports are of one class, the first is the one that is asked for."""


def set_part(column: str, value: str) -> Tamper:
    def tamper(world: World, report: str, other: str) -> None:
        world.sql(f"UPDATE report_part SET {column} = {value} WHERE report_id = $1 AND number = 1", report)

    return tamper


def set_report(column: str, value: str) -> Tamper:
    def tamper(world: World, report: str, other: str) -> None:
        world.sql(f"UPDATE report SET {column} = {value} WHERE id = $1", report)

    return tamper


def part_from(columns: str, *, number: int, of_other: bool = False) -> Tamper:
    def tamper(world: World, report: str, other: str) -> None:
        source = other if of_other else report
        for column in columns.split():
            world.sql(
                f"UPDATE report_part SET {column} = (SELECT {column} FROM report_part AS p WHERE p.report_id = $1"
                f" AND p.number = {number}) WHERE report_id = $2 AND number = 1",
                source,
                report,
            )

    return tamper


def header_from_other(columns: str) -> Tamper:
    def tamper(world: World, report: str, other: str) -> None:
        for column in columns.split():
            world.sql(
                f"UPDATE report SET {column} = (SELECT {column} FROM report AS r WHERE r.id = $1) WHERE id = $2",
                other,
                report,
            )

    return tamper


def change_class(change: Callable[[str], str]) -> Tamper:
    def tamper(world: World, report: str, other: str) -> None:
        ((class_id, facts),) = world.sql(
            "SELECT c.id, c.facts FROM release_class AS c JOIN report AS r ON r.class_id = c.id WHERE r.id = $1", report
        )
        world.sql("UPDATE release_class SET facts = $1 WHERE id = $2", change(facts), class_id)

    return tamper


def other_label_with_its_digest(world: World, report: str, other: str) -> None:
    """Rewrite the class as a clever operator would: facts and digest in step."""
    ((class_id, stored),) = world.sql("SELECT id, facts FROM release_class ORDER BY id LIMIT 1")
    facts = class_from_json(json.loads(stored))
    lowered = replace(facts, label=LOW, part_labels=(LOW,))
    world.sql(
        "UPDATE release_class SET facts = $1, digest = $2 WHERE id = $3",
        json.dumps(class_as_json(lowered)),
        class_digest(lowered),
        class_id,
    )
    world.sql("UPDATE report_part SET label_index = 0")


def into_another_class(world: World, report: str, other: str) -> None:
    world.sql("UPDATE report SET class_id = (SELECT max(id) FROM release_class) WHERE id = $1", report)


def other_digest(world: World, report: str, other: str) -> None:
    """Leave the facts of the class, and put another digest beside them."""
    world.sql(
        "UPDATE release_class SET digest = $1 WHERE id = (SELECT class_id FROM report WHERE id = $2)", "0" * 64, report
    )


def without_a_part(world: World, report: str, other: str) -> None:
    world.sql("DELETE FROM report_part WHERE report_id = $1 AND number = 1", report)


ALL = frozenset({"pull", "part", "list"})
BODY = frozenset({"pull", "part"})
TOLD_BY_SEALS = frozenset({"nothing"})
"""What was altered is read from what is sealed: nothing is lost, and it is on the record all the same."""
SECRETS = "wrapped_key key_id key_version wrap_suite suite"
TAMPERINGS: list[tuple[str, Tamper, frozenset[str]]] = [
    ("ciphertext of another part", part_from("ciphertext", number=3), BODY),
    ("ciphertext and key of another part of one label", part_from(f"ciphertext {SECRETS}", number=3), BODY),
    ("ciphertext, key and label of another part", part_from(f"ciphertext {SECRETS} label_index", number=2), BODY),
    ("part of another report of one class", part_from(f"ciphertext {SECRETS}", number=1, of_other=True), BODY),
    ("key of another part", part_from("wrapped_key", number=3), BODY),
    ("lower label", part_from("label_index", number=2), BODY),
    ("label out of range", set_part("label_index", "2"), BODY),
    ("label below range", set_part("label_index", "-1"), BODY),
    ("unknown suite of a part", set_part("suite", "'rot13'"), BODY),
    ("suite of another kind", set_part("suite", "'aes-256-gcm'"), BODY),
    ("unknown suite of a wrapped key", set_part("wrap_suite", "'rot13'"), BODY),
    ("key that is not here", set_part("key_version", "99"), BODY),
    ("key of another name", set_part("key_id", "'file/other'"), BODY),
    ("key of no custodian", set_part("key_id", "'x'"), BODY),
    ("missing part", without_a_part, BODY),
    ("header of another report", header_from_other("sealed_header"), ALL),
    ("other version of the report", set_report("version", "2"), ALL),
    ("unknown suite of a header", set_report("header_suite", "'rot13'"), ALL),
    ("part's suite on a header", set_report("header_suite", "'cobblestone-256'"), ALL),
    ("suite of another kind on a header", set_report("header_suite", "'aes-256-gcm'"), ALL),
    ("header key of another name", set_report("key_id", "'file/other'"), ALL),
    ("header key that is not here", set_report("key_version", "99"), ALL),
    ("another class", into_another_class, ALL),
    ("end of validity that is no moment", set_report("valid_until", str(2**63 - 1)), ALL),
    ("status that is none", set_report("status", "'approved'"), BODY | {"hidden"}),
    ("lower label and its digest", other_label_with_its_digest, ALL),
    ("label in the class", change_class(lambda facts: facts.replace("SECRET", "RESTRICTED")), TOLD_BY_SEALS),
    (
        "wider release in the class",
        change_class(lambda facts: facts.replace('["GBR","NOR"]', '["DNK","GBR","NOR"]')),
        TOLD_BY_SEALS,
    ),
    (
        "originator in the class",
        change_class(lambda facts: facts.replace('"originator":"GBR"', '"originator":"NOR"')),
        TOLD_BY_SEALS,
    ),
    ("topic in the class", change_class(lambda facts: facts.replace("cyber.apt", "cyber.crime")), TOLD_BY_SEALS),
    ("class that is no JSON", change_class(lambda facts: facts[:-1]), TOLD_BY_SEALS),
    ("class with a field missing", change_class(lambda facts: "{}"), TOLD_BY_SEALS),
    ("digest of the class", other_digest, TOLD_BY_SEALS),
]


async def two_of_a_class_and_another(world: World) -> tuple[list[str], str]:
    """Post two reports of one class and one of another; what was done has its place in the log."""
    reports = [await world.post(parts=PARTS, subject=f"canary {number}") for number in range(2)]
    whole = await world.post(parts=PARTS, topic="cyber.malware")
    await place_entries(world, is_searchable=True)
    return reports, whole


async def test_changed_row_releases_nothing_and_is_recorded(
    make_lived: MakeLived, in_turn: InTurn, subtests: pytest.Subtests
) -> None:
    populated, (reports, whole) = await make_lived(two_of_a_class_and_another)
    put_back = kept_rows(
        populated, {"release_class": ("id",), "report": ("id",), "report_part": ("report_id", "number")}
    )
    for name, tamper, hurt in in_turn(TAMPERINGS):
        tamper(populated, *reports)
        with subtests.test(name):
            await require_nothing_released(populated, reports, whole, hurt)
        put_back()
    with subtests.test("all is as it was"):
        await require_nothing_released(populated, reports, whole, frozenset())


async def require_nothing_released(populated: World, reports: list[str], whole: str, hurt: frozenset[str]) -> None:
    acts: dict[str, Callable[[Services], Awaitable[object]]] = {
        "pull": lambda node: usecases.pull_report(node, populated.call("NOR reader"), reports[0]),
        "part": lambda node: usecases.read_part(node, populated.call("NOR reader"), reports[0], 1),
        "list": lambda node: usecases.list_reports(node, populated.call("NOR reader"), ListQuery()),
    }
    for name, act in acts.items():
        async with populated.another_node() as node:
            made = await populated.attempt(act(node))

        if name == "list":
            require_rest_listed(made, whole)
            shown = {row.id for row in made.value.value.rows}
            assert (reports[0] in shown) is hurt.isdisjoint({"list", "hidden"})
            require_told(made, reports[0], is_told=name in hurt)
            continue
        assert isinstance(made.error, UnavailableError) is (name in hurt), (name, made.error)
        failed = [entry for entry in made.entries if (entry["type"], entry["decision"]) == ("key.opened", "failed")]
        assert len(failed) == (1 if hurt is TOLD_BY_SEALS or name in hurt else 0)
        if name in hurt:
            assert made.error is not None
            assert "canary" not in str(made.error)
            assert (made.entry["type"], made.entry["decision"]) == ("key.opened", "failed")
            assert made.error.receipt.entry == made.entry["id"]
            assert made.entry["detail"]["place"]


def require_rest_listed(made: Attempt[Recorded[ListedReports]], whole: str) -> None:
    """Check that a list shows what is whole, whatever else there is."""
    listed = made.value.value
    assert whole in {row.id for row in listed.rows}
    assert len(listed.items) == len(listed.rows)


def require_told(made: Attempt[Recorded[ListedReports]], damaged: str, *, is_told: bool) -> None:
    """Check that a list tells of what it cannot show, on the record."""
    assert (damaged in {each.id for each in made.value.value.unopened}) is is_told
    if is_told:
        places = [entry["detail"]["place"] for entry in made.entries if entry["type"] == "key.opened"]
        assert f"report {damaged}" in places


@pytest.mark.parametrize(
    ("table", "column", "value", "hurt"),
    [
        ("report", "version", "'x'", ALL),
        ("report", "key_version", "'x'", ALL),
        ("report_part", "label_index", "'x'", BODY),
        ("report_part", "key_version", "'x'", BODY),
        ("report_part", "number", str(2**53), BODY),
    ],
)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)  # PostgreSQL takes none of it there
async def test_what_is_no_such_number_releases_nothing_and_is_recorded(
    populated: World, table: str, column: str, value: str, hurt: frozenset[str]
) -> None:
    report = await populated.post(parts=PARTS)
    whole = await populated.post(parts=PARTS)
    await place_entries(populated, is_searchable=True)
    which = "id = $1" if table == "report" else "report_id = $1 AND number = 1"
    populated.sql(f"UPDATE {table} SET {column} = {value} WHERE {which}", report)
    acts: dict[str, Callable[[Services], Awaitable[object]]] = {
        "pull": lambda node: usecases.pull_report(node, populated.call("NOR reader"), report),
        "part": lambda node: usecases.read_part(node, populated.call("NOR reader"), report, 1),
        "list": lambda node: usecases.list_reports(node, populated.call("NOR reader"), ListQuery()),
    }
    for name in sorted(hurt):
        async with populated.another_node() as node:
            made = await populated.attempt(acts[name](node))

        if name == "list":
            require_rest_listed(made, whole)
            require_told(made, report, is_told=name in hurt)
            continue
        assert isinstance(made.error, UnavailableError), (name, made.error)
        assert (made.entry["type"], made.entry["decision"]) == ("key.opened", "failed")


async def test_class_widened_to_a_stranger_shows_it_nothing(populated: World) -> None:
    report = await populated.post()
    change_class(lambda facts: facts.replace('["GBR","NOR"]', '["DNK","GBR","NOR"]'))(populated, report, report)
    reader = populated.call("DNK reader")
    async with populated.another_node() as node:
        listed = (await usecases.list_reports(node, reader, ListQuery())).value
        for act in (usecases.pull_report(node, reader, report), usecases.explain_report(node, reader, report)):
            assert isinstance((await populated.attempt(act)).error, NotFoundError)

    assert (listed.items, listed.unopened) == ([], ())


async def test_change_after_a_class_was_read_changes_no_decision(populated: World) -> None:
    report = await populated.post()
    await usecases.pull_report(populated.services, populated.call("NOR reader"), report)
    change_class(lambda facts: facts.replace('["GBR","NOR"]', '["DNK","GBR","NOR"]'))(populated, report, report)
    made = await populated.attempt(usecases.pull_report(populated.services, populated.call("DNK reader"), report))

    assert isinstance(made.error, NotFoundError)
    assert made.entry["reasons"] == ["not-releasable"]


async def test_ended_report_that_was_made_up_is_explained_to_nobody(populated: World) -> None:
    """Of one that has ended nothing is sealed any more: only the log says that it ever was."""
    report, made_up = await populated.post(), "01980000-0000-7000-8000-000000000000"
    await populated.enrol("GBR releaser", "GBR", "releaser")
    await usecases.recall_report(populated.services, populated.call("GBR releaser"), report, "mistaken")
    others = ", ".join(name for name in columns_of(populated, "report") if name not in {"id", "seq"})
    populated.sql(f"INSERT INTO report (id, seq, {others}) SELECT $1, seq + 1000, {others} FROM report", made_up)
    call = populated.call("GBR contributor")
    whole = await usecases.explain_report(populated.services, call, report)
    made = await populated.attempt(usecases.explain_report(populated.services, call, made_up))

    assert [reason.value for reason in whole.value.reasons] == ["role-missing", "recalled"]
    assert isinstance(made.error, UnavailableError)
    assert (made.entry["type"], made.entry["detail"]) == ("key.opened", {"place": f"report {made_up}"})


async def test_missing_class_is_unavailable(populated: World) -> None:
    report = await populated.post()
    if not populated.url.startswith("postgresql"):
        populated.sql("DELETE FROM release_class")
    else:
        populated.sql("ALTER TABLE report DROP CONSTRAINT report_class_id_fkey")
        populated.sql("DELETE FROM release_class")
    made = await populated.attempt(usecases.pull_report(populated.services, populated.call("NOR reader"), report))

    assert isinstance(made.error, UnavailableError)


async def test_replay_of_a_changed_report_is_unavailable_and_recorded(populated: World) -> None:
    call, posted = populated.call("GBR contributor"), populated.posted()
    made = await usecases.post_report(populated.services, call, posted, idempotency_key="k-1")
    populated.sql("UPDATE report SET version = 2")
    again = await populated.attempt(usecases.post_report(populated.services, call, posted, idempotency_key="k-1"))

    assert isinstance(again.error, UnavailableError)
    assert again.entry["detail"] == {"place": f"report {made.value.report_id}"}


@pytest.mark.parametrize("poster", ["GBR contributor", "NOR contributor"])
async def test_key_that_points_at_another_report_shows_nothing_of_it(populated: World, poster: str) -> None:
    hidden = await populated.post(label=Label("NATO", "SECRET", releasable_to=("GBR",)), subject="not for the poster")
    call, posted = populated.call(poster), populated.posted(subject="what was sent")
    await usecases.post_report(populated.services, call, posted, idempotency_key="k-1")
    populated.sql("UPDATE idempotency SET report_id = $1", hidden)
    made = await populated.attempt(usecases.post_report(populated.services, call, posted, idempotency_key="k-1"))

    assert isinstance(made.error, UnavailableError)
    assert (made.entry["type"], made.entry["decision"]) == ("key.opened", "failed")
    assert hidden in made.entry["detail"]["place"]


async def test_key_that_points_at_what_builds_on_less_is_tampering(populated: World) -> None:
    call, source = populated.call("GBR contributor"), await populated.post()
    bare = populated.posted(references=())
    alike = (await usecases.post_report(populated.services, call, bare)).value.report_id
    posted = replace(bare, references=(source,))
    await usecases.post_report(populated.services, call, posted, idempotency_key="k-1")
    populated.sql("UPDATE idempotency SET report_id = $1", alike)
    made = await populated.attempt(usecases.post_report(populated.services, call, posted, idempotency_key="k-1"))

    assert isinstance(made.error, UnavailableError)
    assert made.entry["detail"] == {"place": f"report {alike}"}
