"""Consultations and disputes: opened, answered, settled by signatories; to whoever they do not name there are none."""

import asyncio
import hashlib
from datetime import timedelta

import pytest

from exchange import usecases
from exchange.agreements import Matter, MatterKind, MatterState, Speech
from exchange.kernel import ConflictError, ForbiddenError, InvalidError, NotFoundError
from exchange.markings import Label
from exchange.reports import Precedence
from exchange.usecases import DutyWatch, NewMatter
from tests.attacks.hidden import AGREEMENT_OF_TWO, random_id
from tests.support.world import AGREEMENT, World

QUESTION = NewMatter(MatterKind.CONSULTATION, "What keeps your reports?", ("NOR",))
DISPUTE = NewMatter(MatterKind.DISPUTE, "You owe us reports.")
OWING = AGREEMENT.replace(
    "obligations: []", "obligations:\n  - {party: all, scope: cyber-threats, acknowledge: {FLASH: PT10M}}"
)


async def opened(world: World, new: NewMatter = QUESTION, name: str = "GBR signatory") -> Matter:
    made = await usecases.open_consultation(world.services, world.call(name), world.agreement_id, new)
    return made.value


async def listed(world: World, name: str) -> list[Matter]:
    made = await usecases.list_consultations(world.services, world.call(name), world.agreement_id)
    return list(made.value)


async def settled(world: World, name: str, matter: Matter, text: str = "agreed") -> Matter:
    return (await usecases.settle_consultation(world.services, world.call(name), matter.id, text)).value


async def test_consultation_is_opened_answered_and_settled_each_on_the_record(populated: World) -> None:
    matter = await opened(populated)
    answer = "The desk was moved."
    answered = await usecases.answer_consultation(
        populated.services, populated.call("NOR signatory"), matter.id, answer
    )
    done = await settled(populated, "GBR signatory", matter)

    assert (matter.state, matter.members, matter.opened_by) == (MatterState.OPEN, ("GBR", "NOR"), "GBR")
    assert answered.value.state is MatterState.ANSWERED
    assert done.state is MatterState.SETTLED
    assert [(each.member, each.speech) for each in done.said] == [
        ("GBR", Speech.OPEN), ("NOR", Speech.ANSWER), ("GBR", Speech.SETTLE),
    ]  # fmt: skip
    assert await listed(populated, "NOR signatory") == [done]
    entries = {entry["id"]: entry for entry in await populated.entries()}
    assert [entries[each.entry]["type"] for each in done.said] == [
        "consultation.opened", "consultation.answered", "consultation.settled",
    ]  # fmt: skip
    entry = entries[done.said[1].entry]
    assert entry["detail"]["text"] == hashlib.sha256(answer.encode()).hexdigest()
    assert (entry["detail"]["parties"], entry["detail"]["kind"]) == (["GBR", "NOR"], "consultation")
    assert answer not in repr(entries)


async def test_to_who_is_not_named_there_is_none(populated: World) -> None:
    matter = await opened(populated)
    call = populated.call("DNK signatory")
    foreign = await populated.attempt(usecases.answer_consultation(populated.services, call, matter.id, "me too"))
    absent = await populated.attempt(usecases.answer_consultation(populated.services, call, random_id(), "me too"))
    malformed = await populated.attempt(usecases.settle_consultation(populated.services, call, "no id", "me too"))

    assert await listed(populated, "DNK signatory") == []
    assert {str(each.error) for each in (foreign, absent, malformed)} == {
        "no such consultation, or none that names your member"
    }
    assert isinstance(foreign.error, NotFoundError)
    assert foreign.entry["decision"] == "refused"
    assert len((await listed(populated, "NOR signatory"))[0].said) == 1


async def test_dispute_of_all_parties_is_settled_by_the_same_words_of_all(populated: World) -> None:
    matter = await opened(populated, DISPUTE)
    for name in ("GBR signatory", "NOR signatory"):
        assert (await settled(populated, name, matter)).state is not MatterState.SETTLED
    other = await settled(populated, "DNK signatory", matter, "something else")
    done = await settled(populated, "DNK signatory", matter)

    assert matter.members == ("GBR", "NOR", "DNK")
    assert (other.state, done.state) == (MatterState.ANSWERED, MatterState.SETTLED)
    late = await populated.attempt(
        usecases.answer_consultation(populated.services, populated.call("NOR signatory"), matter.id, "but")
    )
    assert isinstance(late.error, ConflictError)
    assert late.entry["detail"]["codes"] == ["settled"]


async def test_what_a_client_opened_and_nobody_answered_is_bounded(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.usecases.promises.consultations.MOST_UNANSWERED", 2)
    first, second = await opened(populated), await opened(populated, DISPUTE)
    refused = await populated.attempt(opened(populated))
    assert isinstance(refused.error, ConflictError)
    assert (refused.error.code, refused.entry["decision"]) == ("too-many-waiting", "refused")
    await opened(populated, name="DNK signatory")

    # Another member's word is an answer; one's own is none.
    services, nor = populated.services, populated.call("NOR signatory")
    await settled(populated, "GBR signatory", second)
    assert (await populated.attempt(opened(populated))).error is not None
    await usecases.answer_consultation(services, nor, first.id, "it was moved")
    third = await opened(populated)
    # To settle makes room, and not at once: what was settled is shown to the others too.
    await settled(populated, "GBR signatory", third)
    assert (await populated.attempt(opened(populated))).error is not None
    populated.clock.advance(timedelta(days=1, seconds=1))
    await opened(populated)


async def test_member_says_so_much_in_one_matter_and_can_settle_it_then(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.agreements.consultations.MOST_SAID", 3)
    matter, services = await opened(populated), populated.services

    async def says(name: str) -> str | None:
        call = populated.call(name)
        said = await populated.attempt(usecases.answer_consultation(services, call, matter.id, "and another thing"))
        return None if said.error is None else said.error.code

    assert [await says("GBR signatory") for _ in range(2)] == [None, "too-much-said"]
    assert await says("NOR signatory") is None
    assert (await settled(populated, "GBR signatory", matter)).state is MatterState.SETTLED


async def test_only_its_opener_settles_a_consultation(populated: World) -> None:
    matter = await opened(populated)

    refused = await populated.attempt(settled(populated, "NOR signatory", matter))

    assert isinstance(refused.error, ConflictError)
    assert refused.error.code == "not-yours-to-settle"


@pytest.mark.parametrize(
    ("others", "code"), [(("ESP",), "not-a-party"), (("XXX",), "not-a-party"), (("GBR",), "invalid-value")]
)
async def test_only_other_parties_are_named(populated: World, others: tuple[str, ...], code: str) -> None:
    made = await populated.attempt(opened(populated, NewMatter(MatterKind.CONSULTATION, "why?", others)))

    assert isinstance(made.error, InvalidError)
    assert [fault.code for fault in made.error.faults] == [code]
    assert await listed(populated, "GBR signatory") == []


async def test_foreign_and_absent_agreements_are_one_answer_and_readers_say_nothing(populated: World) -> None:
    main = populated.agreement_id
    populated.agreement_id = await populated.agree(AGREEMENT_OF_TWO, signatories=("GBR", "ESP"))
    foreign = await populated.attempt(opened(populated, name="NOR signatory"))
    populated.agreement_id = random_id()
    absent = await populated.attempt(opened(populated, name="NOR signatory"))
    populated.agreement_id = main
    reader = await populated.attempt(opened(populated, name="NOR reader"))

    assert isinstance(foreign.error, NotFoundError)
    assert str(foreign.error) == str(absent.error)
    assert isinstance(reader.error, ForbiddenError)


async def test_it_may_be_about_a_breach_between_the_two_and_the_uncleared_are_not_told_which(
    populated: World,
) -> None:
    await populated.agree(OWING)
    await populated.enrol("NOR low signatory", "NOR", "signatory", level="RESTRICTED")
    secret = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))
    populated.clock.advance(timedelta(minutes=1))
    await populated.post(label=secret, precedence=Precedence.FLASH)
    populated.clock.advance(timedelta(minutes=11))
    await DutyWatch(populated.services).round()
    call = populated.call("GBR signatory")
    (breach,) = (await usecases.list_breaches(populated.services, call, populated.agreement_id)).value.rows

    matter = await opened(populated, NewMatter(MatterKind.DISPUTE, "why?", ("NOR",), breach.id))

    assert matter.breach == breach.id
    assert [each.breach for each in await listed(populated, "NOR signatory")] == [breach.id]
    assert [each.breach for each in await listed(populated, "NOR low signatory")] == [None]
    wrong = {
        "GBR signatory": (NewMatter(MatterKind.DISPUTE, "why?", (), breach.id), "not-concerned"),
        "NOR low signatory": (NewMatter(MatterKind.DISPUTE, "why?", ("GBR",), breach.id), "unknown-breach"),
        "DNK signatory": (NewMatter(MatterKind.DISPUTE, "why?", ("NOR",), breach.id), "unknown-breach"),
        "NOR signatory": (NewMatter(MatterKind.DISPUTE, "why?", ("GBR",), random_id()), "unknown-breach"),
    }
    for name, (new, code) in wrong.items():
        made = await populated.attempt(opened(populated, new, name))
        assert isinstance(made.error, InvalidError)
        assert [fault.code for fault in made.error.faults] == [code], name
    populated.sql("UPDATE consultation SET breach_id = NULL")
    assert await listed(populated, "NOR signatory") == []


async def test_two_who_speak_at_once_are_both_heard(populated: World) -> None:
    matter = await opened(populated, DISPUTE)
    async with populated.another_node() as other:
        await asyncio.gather(
            usecases.answer_consultation(populated.services, populated.call("NOR signatory"), matter.id, "first"),
            usecases.answer_consultation(other, populated.call("DNK signatory"), matter.id, "second"),
        )

    (found,) = await listed(populated, "GBR signatory")
    assert {each.text for each in found.said[1:]} == {"first", "second"}


async def test_who_has_left_is_told_by_none_of_its_disputes_who_of_the_others_left_since(populated: World) -> None:
    services, agreement_id = populated.services, populated.agreement_id

    for member in ("DNK", "NOR"):
        await usecases.withdraw_agreement(services, populated.call(f"{member} signatory"), agreement_id)
        populated.clock.advance(timedelta(days=91))
        if member == "DNK":
            before = await opened(populated, DISPUTE, "DNK signatory")

    after = await opened(populated, DISPUTE, "DNK signatory")
    assert after.members == before.members == ("GBR", "NOR", "DNK")
