"""Class 34 over HTTP: whoever calls whatever, an entry that was written stays as it is."""

from itertools import product

from exchange.audit import parse_entry
from tests.attacks.hidden import METHODS, Api, Hidden, filled
from tests.support.placing import place_anew

WRITES = {
    # A witness's word about a checkpoint, and what two persons do to keys: neither touches an entry.
    ("POST", "/v1/audit/cosignatures"),
    ("POST", "/v1/audit/erasures"),
    ("POST", "/v1/audit/erasures/{id}/approval"),
}
WITH_POWER = ("operator", "auditor", "NOR auditor")


def test_34_nothing_about_the_log_is_written_but_cosignatures_and_erasures(api: Api) -> None:
    about = {(method, path) for method, path, _ in api.operations() if path.startswith("/v1/audit")}

    assert {(method, path) for method, path in about if method != "GET"} == WRITES


async def test_34_no_method_of_any_path_of_the_log_changes_or_removes_an_entry(api: Api, hidden: Hidden) -> None:
    await place_anew(api.world)
    before = await by_id(api)
    paths = sorted({filled(path, hidden.entry) for _, path, _ in api.operations() if path.startswith("/v1/audit")})
    body = {"id": hidden.entry, "content": "x", "reason": "x"}

    for path, method, name in product(paths, METHODS, WITH_POWER):
        await api.as_client(name).request(method, path, json=body)

    after = await by_id(api)
    assert {entry_id: after.get(entry_id) for entry_id in before} == before
    assert len(after) == len(before) + len(paths) * len(METHODS) * len(WITH_POWER)


async def by_id(api: Api) -> dict[str, bytes]:
    contents = await api.world.services.store.entries(100_000)
    return {parse_entry(content)["id"]: content for content in contents}
