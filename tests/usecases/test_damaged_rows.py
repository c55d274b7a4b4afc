"""A row that cannot be read takes no other one from any list, and stands under nothing until it is mended."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.agreements import MatterKind
from exchange.audit import EventName
from exchange.kernel import NotFoundError, UnavailableError
from exchange.markings import Label
from exchange.store.rows.unread import UnreadRowError
from exchange.usecases import ListQuery, NewMatter, Recorded, Services, SimulatedReport
from exchange.usecases.agreements.note_reviews import note_reviews
from exchange.usecases.auditors.auditing import admit_auditor
from exchange.usecases.life.sweep_reports import sweep_reports
from exchange.usecases.members.ending_certificates import ending_certificates
from exchange.usecases.promises.find_breaches import DutyWatch
from exchange.usecases.steps.recording import TamperedError
from tests.support.in_turn import InTurn
from tests.support.lived import MakeLived
from tests.support.put_back import kept_rows
from tests.support.world import AGREEMENT, World

OF_TWO = AGREEMENT.replace("[GBR, NOR, DNK]", "[GBR, ESP]").replace("[GBR, NOR]", "[GBR, ESP]")
NO_TEXT = "CAST(x'7bff' AS TEXT)"
"""What SQLite keeps where a text belongs, and no driver makes a text of."""
LATEST = 2**63 - 1
"""No moment, and what a column takes on both databases."""
_STATE = "policy_version, class_version, report_seq, recorded_at, policy_digest"
ANOTHER_STATE = f"INSERT INTO policy_state (id, {_STATE}) SELECT id + 1, {_STATE} FROM policy_state"


async def agreed(world: World) -> dict[str, str]:
    """Make a second agreement, of GBR and ESP, with a report under it, and much that is listed under the first one."""
    main, told = world.agreement_id, {"main": world.agreement_id}
    told["report"] = await world.post()
    told["two"] = await world.agree(OF_TWO, signatories=("GBR", "ESP"))
    told["other"] = await world.post(label=Label("NATO", "SECRET", releasable_to=("ESP", "GBR")))
    world.agreement_id = main
    for name in ("request", "second request"):
        made = await usecases.request_information(
            world.services, world.call("NOR reader"), world.wanted(asked=("GBR",))
        )
        told[name] = made.value.row.id
    for words in ("first", "second"):
        new = NewMatter(MatterKind.CONSULTATION, words)
        await usecases.open_consultation(world.services, world.call("GBR signatory"), main, new)
    return told


async def listed(node: Services, world: World, reader: str) -> list[str]:
    page = (await usecases.list_reports(node, world.call(reader), ListQuery())).value
    assert page.unopened == ()
    return [json.loads(item)["id"] for item in page.items]


def failed(entries: list[dict[str, Any]]) -> list[Any]:
    return [entry["detail"] for entry in entries if (entry["type"], entry["decision"]) == ("key.opened", "failed")]


@pytest.mark.parametrize(
    "alter",
    [
        "UPDATE agreement SET terms = '{' WHERE id = $1",
        "UPDATE agreement SET terms = '[]' WHERE id = $1",
        "UPDATE agreement_party SET state = 'approved' WHERE agreement_id = $1 AND member = 'ESP'",
        f"UPDATE agreement_party SET signed_at = {LATEST} WHERE agreement_id = $1",
        f"UPDATE agreement_signature SET signed_at = {LATEST} WHERE agreement_id = $1",
    ],
)
async def test_agreement_that_cannot_be_read_takes_nothing_from_what_stands_under_others(
    make_lived: MakeLived, alter: str
) -> None:
    world, ids = await make_lived(agreed)
    world.unguard("agreement_signature")
    world.sql(alter, ids["two"])
    async with world.another_node() as node:
        made = await world.attempt(listed(node, world, "GBR reader"))
        again = await world.attempt(listed(node, world, "NOR reader"))
        for job in (sweep_reports(node, world.clock.now), note_reviews(node), DutyWatch(node).round()):
            await job
        agreements = [
            await usecases.list_agreements(node, world.call(f"{each} reader")) for each in ("GBR", "NOR", "ESP")
        ]

    assert made.value == again.value == [ids["report"]]
    # Told on the record once by a process, and again in each list that lacks it.
    assert [each["rows"] for each in failed(made.entries)] == [[f"agreement {ids['two']}"]]
    assert failed(again.entries) == []
    assert [[view.agreement.id for view in each.value] for each in agreements] == [[ids["main"]], [ids["main"]], []]
    assert [each.unopened for each in agreements] == [1, 0, 1]


async def test_agreement_that_was_mended_stands_again_without_a_new_process(make_lived: MakeLived) -> None:
    world, ids = await make_lived(agreed)
    ((terms,),) = world.sql("SELECT DISTINCT terms FROM agreement WHERE id = $1", ids["two"])
    world.sql("UPDATE agreement SET terms = '{' WHERE id = $1", ids["two"])
    async with world.another_node() as node:
        before = await listed(node, world, "ESP reader")
        world.sql("UPDATE agreement SET terms = $1 WHERE id = $2", terms, ids["two"])
        after = await listed(node, world, "ESP reader")

    assert (before, after) == ([], [ids["other"]])


async def test_agreement_that_was_met_while_the_log_was_away_is_on_record_before_anything_is_answered(
    make_lived: MakeLived,
) -> None:
    world, ids = await make_lived(agreed)
    world.sql("UPDATE agreement SET terms = '{' WHERE id = $1", ids["two"])
    async with world.another_node() as node:
        world.sql("ALTER TABLE audit_entry RENAME TO gone")
        with pytest.raises(UnavailableError):
            await listed(node, world, "NOR reader")
        world.sql("ALTER TABLE gone RENAME TO audit_entry")
        made = await world.attempt(listed(node, world, "NOR reader"))

    assert [each["rows"] for each in failed(made.entries)] == [[f"agreement {ids['two']}"]]


async def test_auditor_is_cleared_for_all_only_where_all_can_be_read(make_lived: MakeLived) -> None:
    world, ids = await make_lived(agreed)
    world.sql("UPDATE agreement SET terms = '{' WHERE id = $1", ids["two"])
    async with world.another_node() as node:
        gaze = await admit_auditor(node, world.call("auditor"), event=EventName.AUDIT_SEARCHED)

    assert not gaze.is_cleared_for_all


Act = Callable[[Services, World, dict[str, str]], Awaitable[Recorded[Any]]]
LISTS: dict[str, tuple[str, Act, int]] = {
    "client": (
        f"UPDATE client SET cleared_since = {LATEST} WHERE name = 'GBR contributor'",
        lambda node, world, _: usecases.list_clients(node, world.call("GBR reader")),
        2,
    ),
    "member": (
        "UPDATE member SET standing = 'approved' WHERE code = 'ESP'",
        lambda node, world, _: usecases.list_members(node, world.call("operator")),
        4,
    ),
    "request": (
        f"UPDATE information_request SET asked_at = {LATEST} WHERE number = 1",
        lambda node, world, _: usecases.list_requests(node, world.call("GBR reader")),
        1,
    ),
    "sealed request": (
        "UPDATE information_request SET key_version = 9 WHERE number = 1",
        lambda node, world, _: usecases.list_requests(node, world.call("GBR reader")),
        1,
    ),
    "consultation of no text": (
        "UPDATE consultation_said SET text = {no_text} WHERE text = 'first'",
        lambda node, world, ids: usecases.list_consultations(node, world.call("NOR signatory"), ids["main"]),
        1,
    ),
    "consultation": (
        f"UPDATE consultation_said SET said_at = {LATEST} WHERE text = 'first'",
        lambda node, world, ids: usecases.list_consultations(node, world.call("NOR signatory"), ids["main"]),
        1,
    ),
}


KEYS = {
    "client": ("id",),
    "member": ("code",),
    "information_request": ("id",),
    "consultation_said": ("consultation_id", "number"),
}


async def test_row_that_cannot_be_read_takes_no_other_from_its_list(
    make_lived: MakeLived, backend: str, in_turn: InTurn, subtests: pytest.Subtests
) -> None:
    world, ids = await make_lived(agreed)
    put_back = kept_rows(world, KEYS)
    for name, (alter, act, left) in in_turn(LISTS.items()):
        world.sql(alter.format(no_text="'x'" if backend == "postgresql" else NO_TEXT))
        async with world.another_node() as node:
            made = await world.attempt(act(node, world, ids))
        put_back()

        with subtests.test(name):
            answer = made.value
            items = getattr(answer.value, "items", getattr(answer.value, "views", answer.value))
            assert len(items) == left
            assert answer.unopened == 1
            assert len(failed(made.entries)) == 1


MEMBER = "UPDATE member SET standing = 'approved' WHERE code = 'ESP'"
CLIENT = f"UPDATE client SET cleared_since = {LATEST} WHERE name = 'ESP reader'"
DRAFT = AGREEMENT.replace("SECRET", "RESTRICTED")


def simulated(world: World, **changes: Any) -> SimulatedReport:
    told = {"kind": "intrep", "topic": "cyber.apt", "regions": ("EUR",), "label": world.posted().label, **changes}
    return SimulatedReport(world.agreement_id, "cyber-threats", **told)


NAMING: dict[str, Callable[[Services, World], Awaitable[Any]]] = {
    "post": lambda node, world: usecases.post_report(node, world.call("GBR contributor"), world.posted()),
    "request": lambda node, world: usecases.request_information(node, world.call("GBR reader"), world.wanted()),
    "proposal": lambda node, world: usecases.propose_agreement(node, world.call("GBR signatory"), DRAFT),
    "draft": lambda node, world: usecases.simulate_agreement(node, world.call("DNK signatory"), DRAFT),
    "simulation": lambda node, world: usecases.simulate_release(node, world.call("GBR contributor"), simulated(world)),
    "explanation": lambda node, world: explained(node, world, "GBR reader"),
    "certificates": lambda node, _: ending_certificates(node, timedelta(days=400)),
}
"""What reads members or clients together, and rests on few of them."""


async def explained(node: Services, world: World, client: str) -> Any:
    (report,) = world.sql("SELECT id FROM report")[0]
    return await usecases.explain_to_auditor(node, world.call("auditor"), report, world.clients[client].id)


@pytest.mark.parametrize("alter", [MEMBER, CLIENT], ids=["member", "client"])
async def test_member_or_client_that_cannot_be_read_takes_nothing_from_others(populated: World, alter: str) -> None:
    await populated.post()
    whole = {name: await act(populated.services, populated) for name, act in NAMING.items()}
    populated.sql(alter)
    async with populated.another_node() as node:
        made = {name: (await populated.attempt(act(node, populated))).error for name, act in NAMING.items()}
        ending = await NAMING["certificates"](node, populated)
        told = [(await NAMING[name](node, populated)).value for name in ("draft", "simulation", "explanation")]
        # It is a member still, by whatever else of its row.
        named = populated.posted(label=Label("NATO", "RESTRICTED", releasable_to=("ESP", "GBR")))
        await usecases.post_report(node, populated.call("GBR contributor"), named)

    assert made == dict.fromkeys(NAMING)
    assert told == [whole[name].value for name in ("draft", "simulation", "explanation")]
    assert {client.name for client, _ in ending} < {client.name for client, _ in whole["certificates"]}
    assert {client.member for client, _ in ending} >= {"GBR", "NOR", "DNK"}


@pytest.mark.parametrize(
    "act",
    [
        lambda node, world: usecases.simulate_agreement(node, world.call("DNK signatory"), DRAFT),
        lambda node, world: usecases.simulate_release(node, world.call("GBR contributor"), simulated(world)),
    ],
    ids=["draft", "simulation"],
)
async def test_count_of_clients_is_whole_or_none(populated: World, act: Any) -> None:
    populated.sql(f"UPDATE client SET cleared_since = {LATEST} WHERE name = 'DNK reader'")
    made = await populated.attempt(act(populated.services, populated))

    assert isinstance(made.error, TamperedError)
    assert [each["place"] for each in failed(made.entries)] == [f"client {populated.clients['DNK reader'].id}"]


async def test_client_that_cannot_be_read_is_absent_to_auditors_and_on_the_record(populated: World) -> None:
    await populated.post()
    populated.sql(CLIENT)
    made = await populated.attempt(explained(populated.services, populated, "ESP reader"))

    assert isinstance(made.error, NotFoundError)
    assert [each["place"] for each in failed(made.entries)] == [f"client {populated.clients['ESP reader'].id}"]


async def begin_lineage(node: Services) -> None:
    async with node.store.unit_of_work() as unit:
        await unit.begin_lineage()


@pytest.mark.parametrize("alter", ["DELETE FROM policy_state", ANOTHER_STATE])
async def test_without_its_one_policy_state_nothing_is_decided_and_whoever_runs_it_is_told_why(
    populated: World, alter: str
) -> None:
    report, node, reader = await populated.post(), populated.services, populated.call("NOR reader")
    listed = (await usecases.list_reports(node, reader, ListQuery())).value
    populated.sql(alter)
    deciding: dict[str, Awaitable[object]] = {
        "caller": usecases.describe_caller(node, reader),
        "pull": usecases.pull_report(node, reader, report),
        "list": usecases.list_reports(node, reader, ListQuery()),
        "list of a precedence": usecases.list_reports(node, reader, ListQuery(precedence="ROUTINE")),
        "list since": usecases.list_reports(node, reader, ListQuery(since=populated.clock.now)),
        "list behind": usecases.list_reports(node, reader, ListQuery(cursor=listed.next)),
        "post": usecases.post_report(node, populated.call("GBR contributor"), populated.posted()),
        "stream": node.store.pulse.beat(),
        "suspend": usecases.suspend_member(node, populated.call(None), "ESP"),
        "law": usecases.put_law_in_force(node),
        "lineage": begin_lineage(node),
    }
    said = {name: (await populated.attempt(act)).error for name, act in deciding.items()}
    readiness = await usecases.check_readiness(node)

    assert {name for name, error in said.items() if not isinstance(error, UnavailableError)} == set()
    assert {"exchange restore" in error.message and "policy state" in error.told for error in said.values()} == {True}
    assert ["exchange restore" in check.finding for check in readiness.checks if not check.is_working] == [True]


@pytest.mark.parametrize("column", ["policy_version", "class_version", "report_seq"])
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)  # PostgreSQL keeps the types of its columns
async def test_policy_state_that_holds_no_number_is_told_with_its_mend(populated: World, column: str) -> None:
    node, reader = populated.services, populated.call("NOR reader")
    populated.sql(f"UPDATE policy_state SET {column} = 'x'")
    acts: dict[str, Awaitable[object]] = {
        "post": usecases.post_report(node, populated.call("GBR contributor"), populated.posted()),
        "stream": node.store.pulse.beat(),
    }
    if column != "report_seq":
        acts |= {
            "caller": usecases.describe_caller(node, reader),
            "list": usecases.list_reports(node, reader, ListQuery()),
            "suspend": usecases.suspend_member(node, populated.call("operator"), "ESP"),
        }
    said = {name: (await populated.attempt(act)).error for name, act in acts.items()}

    assert {name for name, error in said.items() if "exchange restore" not in str(error)} == set()


async def test_report_whose_id_is_none_takes_no_other_from_a_list(populated: World, backend: str) -> None:
    damaged, other = await populated.post(), await populated.post()
    written = "x'ff'" if backend == "sqlite" else "'x'"
    for table in ("report_part", "report"):
        populated.unguard(table)
    populated.sql("DELETE FROM report_part WHERE report_id = $1", damaged)
    populated.sql(f"UPDATE report SET id = {written} WHERE id = $1", damaged)
    page = (await usecases.list_reports(populated.services, populated.call("NOR reader"), ListQuery())).value

    assert [json.loads(item)["id"] for item in page.items] == [other]
    assert [each.id for each in page.unopened] == [None]


async def test_review_that_was_noted_of_no_day_keeps_no_other_from_being_noted(populated: World) -> None:
    populated.clock.now = datetime(2028, 1, 1, tzinfo=UTC)
    populated.sql("INSERT INTO agreement_review (agreement_id, due_on, entry_id) VALUES ('x', 'x', 'x')")

    assert [await note_reviews(populated.services) for _ in range(2)] == [1, 0]


async def test_member_or_key_that_cannot_be_read_is_told_to_who_acts_on_it(populated: World) -> None:
    services, host, client = populated.services, populated.call(None), populated.clients["NOR signatory"].id
    ((key,),) = populated.sql("SELECT key_id FROM signatory_key WHERE client_id = $1", client)
    populated.unguard("signatory_key")
    populated.sql("UPDATE member SET standing = 'x' WHERE code = 'DNK'")
    populated.sql(f"UPDATE signatory_key SET enrolled_at = {LATEST} WHERE key_id = $1", key)
    acts = {
        "member DNK": usecases.suspend_member(services, host, "DNK"),
        f"key {key}": usecases.retire_signatory_key(services, host, client, key),
    }

    for place, act in acts.items():
        made = await populated.attempt(act)
        assert isinstance(made.error, TamperedError), place
        assert (made.entry["type"], made.entry["detail"]["place"]) == ("key.opened", place)


async def test_acknowledgement_that_cannot_be_read_is_told_as_altered(populated: World) -> None:
    report = await populated.post()
    await usecases.receive_report(populated.services, populated.call("NOR reader"), report)
    populated.sql(f"UPDATE report_receipt SET received_at = {LATEST}")

    with pytest.raises(UnreadRowError) as raised:
        await usecases.receive_report(populated.services, populated.call("NOR reader"), report)
    assert raised.value.place == f"receipt of report {report} by {populated.clients['NOR reader'].id}"
