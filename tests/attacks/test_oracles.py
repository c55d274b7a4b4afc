"""Classes 8 and 9: questions whose answers are made of what the caller may not see."""

import base64
from dataclasses import replace
from datetime import timedelta

from exchange import usecases
from exchange.audit import SignatureType, VerifierKey, read_deed
from exchange.markings import Label
from exchange.release import load_law
from exchange.reports import PostedPart
from exchange.settings import read_policies
from exchange.usecases.steps.knowledge import Knowledge
from tests.attacks.hidden import Api
from tests.support.national import guard
from tests.support.store import NODE_KEY
from tests.support.world import AGREEMENT, POLICIES, World

WHOLE = Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR"))
LOWER = Label("NATO", "UNCLASSIFIED", releasable_to=("GBR", "NOR"))
FOR_ALL = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))
ABSENT = "01980000-0000-7000-8000-000000000000"
NODE = VerifierKey("test", SignatureType.ED25519, NODE_KEY.verifying_key)

WITHOUT_DENMARK = AGREEMENT.replace("[GBR, NOR, DNK]", "[GBR, NOR]")
WITH_SPAIN_ALONE = AGREEMENT.replace("[GBR, NOR, DNK]", "[GBR, NOR, ESP]").replace(
    "ceiling: SECRET", "ceiling: RESTRICTED"
)


def parts(*labels: Label | None) -> tuple[PostedPart, ...]:
    return tuple(PostedPart(label, "text/plain", f"{n}.txt", str(n).encode()) for n, label in enumerate(labels, 1))


async def test_09_request_about_a_tear_line_tells_nothing_of_the_parts_withheld(api: Api) -> None:
    world = api.world
    for name, member, role, level in (
        ("NOR clerk", "NOR", "reader", "UNCLASSIFIED"),
        ("GBR chief releaser", "GBR", "releaser", "SECRET"),
    ):
        await world.enrol(name, member, role, level=level)
    torn = await world.post(label=WHOLE, subject=None, parts=parts(None, LOWER))
    whole = await world.post(label=LOWER, subject=None, parts=parts(None))
    clerk, releaser = api.as_client("NOR clerk"), api.as_client("GBR chief releaser")
    told = []
    for report in (torn, whole):
        for asked in ([], [1]):
            world.clock.advance(timedelta(seconds=1))
            body = {"recipient": "ESP", "parts": asked, "reason": "theirs is the operation"}
            made = await clerk.post(f"/v1/reports/{report}/onward-requests", json=body)
            assert made.status_code == 201, made.text
            await releaser.post(f"/v1/onward-requests/{made.json()['id']}/grant", json={})
            told.append(made.json()["parts"])
    listed = (await clerk.get("/v1/onward-requests")).json()["items"]

    assert told == [item["parts"] for item in listed] == [[], [1], [], [1]]
    deeds = [read_deed(base64.b64decode(item["grant"]), [NODE]).content["parts"] for item in listed]
    assert [len(each) for each in deeds] == [1, 1, 1, 1]
    seen = (await clerk.get(f"/v1/reports/{torn}")).json()["parts"]
    assert deeds[0] == deeds[1] == [part["sha256"] for part in seen]
    # Who decides needs the report's own numbers.
    own = (await releaser.get("/v1/onward-requests")).json()["items"]
    assert [item["parts"] for item in own[-4:]] == [[2], [2], [], [1]]


async def amendments_told(world: World, text: str, name: str) -> usecases.AmendmentView:
    await usecases.propose_amendment(world.services, world.call("GBR signatory"), world.agreement_id, text)
    listed = await usecases.list_amendments(world.services, world.call(name), world.agreement_id)
    return listed.value[-1]


async def test_08_invited_member_learns_nothing_of_the_text_before(api: Api) -> None:
    await api.world.enrol("ESP second signatory", "ESP", "signatory")
    view = await amendments_told(api.world, WITH_SPAIN_ALONE, "ESP second signatory")

    # Not that Denmark leaves, not what the ceiling was, not whom reports are lost to.
    assert view.changes == ("ESP accedes",)
    assert "DNK" not in view.signatories


async def test_09_amendment_counts_nothing_above_its_signatorys_clearance(api: Api) -> None:
    world = api.world
    await world.enrol("NOR low signatory", "NOR", "signatory", level="UNCLASSIFIED")
    before = await amendments_told(world, WITHOUT_DENMARK, "NOR low signatory")
    for _ in range(3):
        await world.post(label=FOR_ALL)
    listed = await usecases.list_amendments(world.services, world.call("NOR low signatory"), world.agreement_id)
    cleared = await usecases.list_amendments(world.services, world.call("NOR signatory"), world.agreement_id)

    assert listed.value[-1].changes == before.changes
    assert cleared.value[-1].changes != before.changes


async def test_09_requests_about_a_report_above_a_releasers_clearance_are_absent(api: Api) -> None:
    world = api.world
    await world.enrol("GBR low releaser", "GBR", "releaser", level="UNCLASSIFIED")
    await world.enrol("GBR chief releaser", "GBR", "releaser")
    low, chief = api.as_client("GBR low releaser"), api.as_client("GBR chief releaser")
    before = (await low.get("/v1/onward-requests")).json()
    report = await world.post(label=WHOLE)
    body = {"recipient": "ESP", "reason": "theirs is the operation"}
    made = await api.as_client("NOR reader").post(f"/v1/reports/{report}/onward-requests", json=body)

    assert (await low.get("/v1/onward-requests")).json() == before
    assert made.json()["id"] in (await chief.get("/v1/onward-requests")).text
    for act, said in (("grant", {}), ("refusal", {"reason": "no"}), ("revocation", {})):
        hidden = await low.post(f"/v1/onward-requests/{made.json()['id']}/{act}", json=said)
        absent = await low.post(f"/v1/onward-requests/{ABSENT}/{act}", json=said)
        assert (hidden.status_code, hidden.json()["detail"]) == (404, absent.json()["detail"])


async def test_09_destruction_of_a_report_above_a_releasers_clearance_is_asked_of_others(api: Api) -> None:
    world = api.world
    await world.enrol("NOR low releaser", "NOR", "releaser", level="UNCLASSIFIED")
    await world.enrol("NOR chief releaser", "NOR", "releaser")
    await world.enrol("GBR chief releaser", "GBR", "releaser")
    report = await world.post()
    assert (await api.as_client("NOR reader").get(f"/v1/reports/{report}")).is_success
    reason = {"reason": "the source is at risk"}
    assert (await api.as_client("GBR chief releaser").post(f"/v1/reports/{report}/recall", json=reason)).is_success
    low, chief = api.as_client("NOR low releaser"), api.as_client("NOR chief releaser")
    certificate = {"method": "erased", "copies": 1, "client": world.clients["NOR reader"].id}
    refused = await low.post(f"/v1/reports/{report}/destruction", json=certificate)
    absent = await low.post(f"/v1/reports/{ABSENT}/destruction", json=certificate)

    assert (await low.get("/v1/destructions")).json()["items"] == []
    assert (refused.status_code, refused.json()["detail"]) == (404, absent.json()["detail"])
    assert [item["id"] for item in (await chief.get("/v1/destructions")).json()["items"]] == [report]
    assert (await chief.post(f"/v1/reports/{report}/destruction", json=certificate)).status_code == 201


async def test_09_acts_about_a_report_above_a_releasers_clearance_are_absent(api: Api) -> None:
    world = api.world
    await world.enrol("GBR low releaser", "GBR", "releaser", level="UNCLASSIFIED")
    await world.enrol("GBR chief releaser", "GBR", "releaser")
    low, chief = api.as_client("GBR low releaser"), api.as_client("GBR chief releaser")
    report = await world.post()  # SECRET: two persons
    body = {"recipient": "ESP", "reason": "theirs is the operation"}
    made = await api.as_client("NOR reader").post(f"/v1/reports/{report}/onward-requests", json=body)
    before = (await low.get("/v1/acts")).json()
    granted = await chief.post(f"/v1/onward-requests/{made.json()['id']}/grant", json={})
    act = granted.json()["act"]
    digest = (await chief.get(f"/v1/acts/{act}")).json()["digest"]

    assert (await low.get("/v1/acts")).json() == before
    for method, path, sent in (
        ("GET", "", None),
        ("POST", "/confirmation", {"digest": digest}),
        ("POST", "/refusal", {}),
    ):
        refused = await low.request(method, f"/v1/acts/{act}{path}", json=sent)
        assert (refused.status_code, refused.json()["detail"]) == (
            404,
            (await low.get(f"/v1/acts/{ABSENT}")).json()["detail"],
        )


async def test_08_amendment_counts_nothing_by_what_another_member_keeps_as_a_file(api: Api) -> None:
    world = api.world
    await world.post(label=FOR_ALL)
    before = await amendments_told(world, WITHOUT_DENMARK, "NOR signatory")
    files = {**read_policies(POLICIES), "guards/GBR.cedar": guard("gbr.not-to-dnk", 'principal.member == "DNK"')}
    # As if the files had been these from the start.
    law = replace(load_law(files), digest=world.services.law.digest)
    world.services = replace(world.services, law=law, knowledge=Knowledge())
    listed = await usecases.list_amendments(world.services, world.call("NOR signatory"), world.agreement_id)
    own = await usecases.list_amendments(world.services, world.call("GBR signatory"), world.agreement_id)

    assert listed.value[-1].changes == before.changes
    assert own.value[-1].changes != before.changes
