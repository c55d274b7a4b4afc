"""Classes 3, 5, 8, 9, 22, 29: what a releaser may upload, and what others learn of it, over the real interface."""

import asyncio
import json
from typing import Any

import pytest

from exchange.markings import Label
from exchange.release import Law, NationalGuards
from exchange.store import CaveatText
from exchange.usecases.steps import national_law
from exchange.usecases.steps.national_law import national_of
from tests.attacks.hidden import Api, Hidden, kept_state, random_id, seen
from tests.support.national import example, guard, no_court, not_to

ROUTES = ("/v1/caveats", "/v1/caveats/checks")


def body(guards: str, examples: str | None = None, **others: Any) -> dict[str, Any]:
    return {"guards": guards, "examples": no_court().examples if examples is None else examples, **others}


HOSTILE = {
    "permit": body(guard("gbr.x").replace("forbid", "permit")),
    "permit behind a comment": body("// forbid\n" + no_court().guards + guard("gbr.y").replace("forbid", "permit")),
    "slot": body(guard("gbr.x").replace("(principal,", "(principal in ?principal,")),
    "another's reports": body(guard("gbr.x", 'resource.originator == "NOR"')),
    "one report": body(guard("gbr.x", f'resource == Report::"{random_id()}"')),
    "another's name": body(guard("nor.no-court", 'context.purpose == "judicial"')),
    "the exchange's name": body(guard("exchange.host-reads-nothing")),
    "huge": body("//" + "x" * 65_535 + "\n" + guard("gbr.x")),
    "huge in bytes": body("//" + "é" * 40_000 + "\n" + guard("gbr.x")),
    "deep": body(guard("gbr.x", "(" * 20_000 + "true" + ")" * 20_000)),
    "deep sets": body(guard("gbr.x", "[" * 20_000)),
    "deep path": body(guard("gbr.x", "resource" + ".kind" * 10_000)),
    "wide path": body(guard("gbr.x", "resource has a" + ".a" * 10_000)),
    "slow pattern": body(guard("gbr.x", f'principal.agency like "{"*a" * 100}b"')),
    "many": body("".join(guard(f"gbr.{number}") for number in range(201))),
    "right to left": body(guard("gbr.x", 'resource.kind == "\u202e"')),
    "half a character": body(guard("gbr.x", 'resource.kind == "\\u{202e}"')),
    "terminal": body("// \x1b[2K\r" + guard("gbr.x")),
    "yaml bomb": body(no_court().guards, "a: &a [x, x]\nb: &b [*a, *a]\nexamples: [*b, *b]\n"),
    "yaml object": body(no_court().guards, "examples: !!python/object/apply:os.system [true]\n"),
    "yaml deep": body(no_court().guards, "examples: " + "[" * 10_000),
    "an example of another's": body(
        no_court().guards, no_court().examples + example("gbr.no-court", forbids=False, report="{originator: NOR}")
    ),
    "somebody else's": body(no_court().guards, member="NOR"),
    "in force at once": body(no_court().guards, state="in_force", number=1),
    "no examples": {"guards": no_court().guards},
}


async def test_hostile_caveats_are_422_and_nothing_is_kept(api: Api, subtests: pytest.Subtests) -> None:
    before, client = kept_state(api.world), api.as_client("GBR releaser")
    for name, hostile in HOSTILE.items():
        answers = [await client.post(route, json=hostile) for route in ROUTES]

        with subtests.test(name):
            assert {answer.status_code for answer in answers} == {422}
            assert all(answer.json()["code"] for answer in answers)
    assert kept_state(api.world) == before


async def test_03_no_header_or_field_makes_it_another_members(api: Api, hidden: Hidden) -> None:
    as_norway = api.as_client("NOR releaser")
    asked = await as_norway.post("/v1/caveats", json=_named("NOR"))
    foreign = await as_norway.get(f"/v1/caveats/{hidden.caveats}")
    absent = await as_norway.get(f"/v1/caveats/{random_id()}")

    assert (asked.status_code, asked.json()["member"], asked.json()["replaces"]) == (201, "NOR", None)
    assert seen(foreign) == seen(absent)
    assert [each["id"] for each in (await as_norway.get("/v1/caveats")).json()["items"]] == [asked.json()["id"]]


async def test_23_an_act_about_caveats_is_confirmed_by_its_member_and_another_person(api: Api) -> None:
    asked = (await api.as_client("GBR releaser").post("/v1/caveats", json=_text(not_to("NOR")))).json()
    digest = (await api.as_client("GBR releaser").get(f"/v1/acts/{asked['act']}")).json()["digest"]
    path, before = f"/v1/acts/{asked['act']}/confirmation", kept_state(api.world)
    alone = await api.as_client("GBR releaser").post(path, json={"digest": digest})
    others = [await api.as_client(name).post(path, json={"digest": digest}) for name in ("NOR releaser", "operator")]

    assert (alone.status_code, alone.json()["code"]) == (409, "second-person-needed")
    assert {answer.status_code for answer in others} == {404}
    assert kept_state(api.world) == before


async def test_08_readers_and_their_auditor_are_told_nothing_of_a_caveat(api: Api) -> None:
    await api.world.enrol("GBR third releaser", "GBR", "releaser")
    asked = (await api.as_client("GBR releaser").post("/v1/caveats", json=_text(not_to("NOR")))).json()
    second = api.as_client("GBR third releaser")
    digest = (await second.get(f"/v1/acts/{asked['act']}")).json()["digest"]
    assert (await second.post(f"/v1/acts/{asked['act']}/confirmation", json={"digest": digest})).status_code == 200
    ((report,),) = api.world.sql("SELECT id FROM report ORDER BY seq LIMIT 1")
    reader = api.as_client("NOR reader")
    refused, absent = await reader.get(f"/v1/reports/{report}"), await reader.get(f"/v1/reports/{random_id()}")
    api.world.sequence()
    told = await api.as_client("NOR auditor").get("/v1/audit/entries")

    assert refused.status_code == 404
    assert seen(refused) == seen(absent)
    heard = json.dumps(told.json())
    assert refused.headers["x-audit-entry"] in heard
    assert not any(word in heard for word in ("caveat", "not-to-nor", asked["id"], asked["digest"]))


def _text(text: Any) -> dict[str, str]:
    return {"guards": text.guards, "examples": text.examples}


def _named(member: str) -> dict[str, str]:
    return _text(no_court(member))


async def test_08_a_low_releaser_is_told_of_no_report_above_its_clearance(api: Api) -> None:
    await api.world.enrol("GBR low releaser", "GBR", "releaser", level="RESTRICTED")
    await api.world.post(label=Label("NATO", "SECRET", releasable_to=("GBR", "NOR")))
    high, low = [
        (await api.as_client(name).post("/v1/caveats/checks", json=_text(not_to("NOR")))).json()["changes"]
        for name in ("GBR releaser", "GBR low releaser")
    ]

    assert [each["marking"].partition("//")[0] for each in high] == ["NATO RESTRICTED", "NATO SECRET"]
    assert [each["marking"].partition("//")[0] for each in low] == ["NATO RESTRICTED"]


async def test_16_what_a_member_puts_in_force_is_parsed_once_however_many_others_are_reading(
    api: Api, hidden: Hidden, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, parsed = api.world, list[str]()
    foreign = await world.post("NOR contributor", label=Label("NATO", "RESTRICTED", releasable_to=("DNK", "NOR")))

    def counted(text: CaveatText, files: Law) -> NationalGuards:
        parsed.append(text.id)
        return national_of(text, files)

    monkeypatch.setattr(national_law, "national_of", counted)
    monkeypatch.setattr(world.services.knowledge, "national", national_law.NationalLaw())
    reader = api.as_client("DNK reader")
    answers = await asyncio.gather(*(reader.get(f"/v1/reports/{foreign}") for _ in range(10)))

    assert {answer.status_code for answer in answers} == {200}
    assert parsed == [hidden.caveats]
