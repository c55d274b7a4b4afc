"""Classes 17, 18, 19, 20: labels that are missing, look alike, come out of order, or lose something on the way."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.attacks.hidden import Api, kept_state, open_api, report_body
from tests.support.world import AGREEMENT, World, the_law

SECRET = {"policy": "NATO", "classification": "SECRET", "releasable_to": ["GBR", "NOR"]}

LEVELS: list[Any] = [
    None,
    "",
    " ",
    "secret",
    "Secret",
    "SECRET ",
    " SECRET",
    "SECRET\n",
    "SECRET\u0000",
    "SECRET\u200b",
    "\ufeffSECRET",
    "SE\u00adCRET",
    "\u202eTERCES",
    "ЅECRET",
    "SECRЕT",
    "ＳＥＣＲＥＴ",
    "S\u0301ECRET",
    "nato secret",
    "NATO SECRET",
    "NATO  SECRET",
    "TOP  SECRET",
    "TOP_SECRET",
    "COSMIC TOP SECRET",
    "UNCLASS",
    "unclassified",
    "RESTREINT",
    "S",
    "3",
    3,
    0,
    True,
    [],
    ["SECRET"],
    {},
]
POLICIES: list[Any] = [None, "", "nato", "NATO ", "ΝATO", "NАTO", "NATO\u200b", "UNKNOWN", "*", 1, ["NATO"]]
MEMBERS: list[Any] = [
    ["gbr"],
    ["GBR "],
    ["GB"],
    ["UK"],
    ["*"],
    ["ALL"],
    ["G8R"],
    ["GВR"],
    ["XXX"],
    ["NATO"],
    [""],
    "GBR",
]
CAVEATS: list[Any] = [["orcon"], ["ORCON "], ["ORCОN"], ["NOFORN"], [""], [None], "ORCON", {"ORCON": True}]
COMPARTMENTS: list[Any] = [["atomal"], ["ATOMAL "], ["АTOMAL"], ["UNKNOWN"], [""], [None], "ATOMAL"]
WRONG: list[tuple[str, Any]] = [
    *(("classification", value) for value in LEVELS),
    *(("policy", value) for value in POLICIES),
    *(("releasable_to", value) for value in [*MEMBERS, None]),
    *(("handling", value) for value in [*CAVEATS, None]),
    *(("compartments", value) for value in [*COMPARTMENTS, None]),
]


def labelled(agreement: str, label: Any, place: str) -> tuple[str, dict[str, Any]]:
    """Return path and body of a request with `label` in one of the places where labels are taken."""
    body = report_body(agreement)
    if place == "report":
        body["label"] = label
    elif place == "part":
        body["parts"][0]["label"] = label
    else:
        body = {name: body[name] for name in ("agreement", "scope", "kind", "topic", "regions", "label")}
        body["label" if place == "simulation" else "part_labels"] = label if place == "simulation" else [label]
        return "/v1/simulations", body
    return "/v1/reports", body


@pytest.mark.parametrize("place", ["report", "part", "simulation", "simulated part"])
async def test_18_labels_that_only_look_right_are_refused(api: Api, place: str) -> None:
    client, before = api.as_client("GBR contributor"), kept_state(api.world)
    wrong = [{**SECRET, field: value} for field, value in WRONG]
    wrong += [
        {key: value for key, value in SECRET.items() if key != missing} for missing in ("policy", "classification")
    ]
    wrong += [{}, "NATO SECRET", [], 1, {**SECRET, "level": "SECRET"}]
    if place in {"report", "simulation"}:
        wrong.append(None)
    requests = [labelled(api.world.agreement_id, label, place) for label in wrong]
    answers = await asyncio.gather(*(client.post(path, json=body) for path, body in requests))

    taken = [label for label, answer in zip(wrong, answers, strict=True) if answer.status_code != 422]
    assert taken == []
    for answer in answers:
        assert answer.json()["errors"], "a fault names its place"
        assert all(fault["pointer"].startswith(("/label", "/part")) for fault in answer.json()["errors"])
    assert kept_state(api.world) == before


async def test_18_report_without_a_label_is_refused(api: Api) -> None:
    body = report_body(api.world.agreement_id)
    del body["label"]
    answer = await api.as_client("GBR contributor").post("/v1/reports", json=body)

    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/label"]


@pytest.mark.parametrize("policy", sorted(the_law().catalogue.policies))
def test_19_levels_of_a_policy_stand_in_one_strict_order(policy: str) -> None:
    catalogue = the_law().catalogue
    names = [level.name for level in catalogue.policies[policy].levels]
    ranks = [catalogue.protection[policy, name] for name in names]

    assert len(set(names)) == len(names)
    assert ranks == sorted(ranks)


async def test_19_clearance_lists_exactly_the_levels_up_to_its_own(world: World) -> None:
    levels = ["UNCLASSIFIED", "RESTRICTED", "CONFIDENTIAL", "SECRET"]
    cleared = ["RESTRICTED", "CONFIDENTIAL", "SECRET", "TOP SECRET"]
    for level in cleared:
        await world.enrol(f"cleared {level}", "NOR", "reader", level=level)
    async with open_api(world) as api:
        for level in levels:
            label = {**SECRET, "classification": level}
            body = report_body(world.agreement_id, label=label, subject=level)
            assert (await api.as_client("GBR contributor").post("/v1/reports", json=body)).status_code == 201
        seen = {}
        for level in cleared:
            items = (await api.as_client(f"cleared {level}").get("/v1/reports")).json()["items"]
            seen[level] = [item["subject"] for item in items if item["subject"] in levels]
        too_high = report_body(world.agreement_id, label={**SECRET, "classification": "TOP SECRET"})
        refused = await api.as_client("GBR contributor").post("/v1/reports", json=too_high)

    assert seen == {
        "RESTRICTED": levels[:2],
        "CONFIDENTIAL": levels[:3],
        "SECRET": levels,
        "TOP SECRET": levels,
    }
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "above-ceiling")


LABELS = st.fixed_dictionaries(
    {
        "policy": st.just("NATO"),
        "classification": st.sampled_from(["UNCLASSIFIED", "RESTRICTED", "CONFIDENTIAL", "SECRET"]),
        "compartments": st.sampled_from([[], ["ATOMAL"]]),
        "releasable_to": st.lists(st.sampled_from(["DNK", "ESP", "NOR"]), unique=True, max_size=3),
        "handling": st.lists(st.sampled_from(["EYES ONLY", "ORCON"]), unique=True, max_size=2),
    }
)
READERS = ("GBR reader", "NOR reader", "DNK reader", "ESP reader", "NOR junior", "NOR cleared", "NOR as DNK")
LAWS = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
async def marked(world: World) -> World:
    """With readers whom compartments and nationality tell apart."""
    await world.enrol("NOR cleared", "NOR", "reader", compartments=("ATOMAL",))
    await world.enrol("NOR as DNK", "NOR", "reader", nationality="DNK", compartments=("ATOMAL",))
    return world


async def listed_by(api: Api, report: str, readers: tuple[str, ...] = READERS) -> set[str]:
    """Return who of `readers` finds a report in its list."""
    pages = [(await api.as_client(name).get("/v1/reports", params={"limit": 500})).json() for name in readers]
    return {name for name, page in zip(readers, pages, strict=True) if report in {each["id"] for each in page["items"]}}


async def posted(api: Api, label: dict[str, Any], **others: Any) -> str | None:
    """Return the id of a new report under `label`, None where it is refused."""
    body = report_body(api.world.agreement_id, label=label, **others)
    answer = await api.as_client("GBR contributor").post("/v1/reports", json=body)
    assert answer.status_code in {201, 422}
    return answer.json()["id"] if answer.status_code == 201 else None


@LAWS
@given(label=LABELS, more=st.sampled_from(["compartments", "handling", "classification", "fewer members"]))
async def test_20_more_markings_never_let_more_readers_list(marked: World, label: dict[str, Any], more: str) -> None:
    stricter = dict(label)
    if more == "compartments":
        stricter["compartments"] = ["ATOMAL"]
    elif more == "handling":
        stricter["handling"] = sorted({*label["handling"], "EYES ONLY"})
    elif more == "classification":
        stricter["classification"] = "SECRET"
    else:
        stricter["releasable_to"] = label["releasable_to"][1:]
    async with open_api(marked) as api:
        first, second = await posted(api, label), await posted(api, stricter)
        if first is not None and second is not None:
            assert await listed_by(api, second) <= await listed_by(api, first)


@LAWS
@given(source=LABELS, child=LABELS, link=st.sampled_from(["supersedes", "references"]))
async def test_17_who_reads_what_builds_on_a_report_could_read_the_report(
    marked: World, source: dict[str, Any], child: dict[str, Any], link: str
) -> None:
    async with open_api(marked) as api:
        report = await posted(api, source)
        if report is None:
            return
        readers = await listed_by(api, report)
        built = await posted(api, child, **{link: report if link == "supersedes" else [report]})
        if built is not None:
            assert await listed_by(api, built) <= readers


@LAWS
@given(whole=LABELS, part=LABELS)
async def test_17_part_and_tear_line_are_never_shown_to_more_than_their_labels_allow(
    marked: World, whole: dict[str, Any], part: dict[str, Any]
) -> None:
    async with open_api(marked) as api:
        alone = await posted(api, part)
        parts = [{"label": part, "media_type": "text/plain", "name": "a.txt", "content": "x", "encoding": "utf-8"}]
        report = await posted(api, whole, parts=parts)
        if report is None or alone is None:
            return
        entitled = await listed_by(api, alone) | await listed_by(api, report)
        for name in READERS:
            answer = await api.as_client(name).get(f"/v1/reports/{report}/parts/1")
            assert (answer.status_code == 200) <= (name in entitled)


async def test_20_each_of_several_markings_is_needed(marked: World) -> None:
    await marked.agree(AGREEMENT.replace("[ATOMAL]", "[ATOMAL, BOHEMIA]"))
    for name, member in (("NOR all", "NOR"), ("DNK all", "DNK")):
        await marked.enrol(name, member, "reader", compartments=("ATOMAL", "BOHEMIA"))
    label = {**SECRET, "compartments": ["ATOMAL", "BOHEMIA"], "handling": ["EYES ONLY"]}
    found_by = [
        ({}, {"NOR all"}),
        ({"compartments": ["ATOMAL"]}, {"NOR all", "NOR cleared"}),
        ({"compartments": ["ATOMAL"], "handling": []}, {"NOR all", "NOR cleared", "NOR as DNK"}),
        ({"compartments": []}, {"NOR all", "NOR cleared", "NOR reader", "GBR reader"}),
        ({"releasable_to": ["DNK", "GBR"]}, {"DNK all"}),
        ({"releasable_to": ["DNK", "GBR"], "handling": []}, {"DNK all"}),
        ({"releasable_to": []}, set()),
    ]
    async with open_api(marked) as api:
        for fewer, who in found_by:
            report = await posted(api, {**label, **fewer})
            assert report is not None
            assert await listed_by(api, report, (*READERS, "NOR all", "DNK all")) == who, fewer
