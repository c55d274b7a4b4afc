"""Class 10: what is hidden is looked up like what is absent, by every operation of the document and every outsider."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from sqlalchemy import event

from exchange import usecases
from exchange.agreements import terms_from_stored
from exchange.entrypoints.api import api_document
from exchange.store.books import agreement_rows, amendments
from tests.attacks.callers import body_of
from tests.attacks.hidden import (
    AGREEMENT_OF_TWO,
    OUTSIDERS,
    SHARES,
    Api,
    Hidden,
    filled,
    outsiders_of,
    random_id,
    segment_of,
)

WITH_ID = [path for path in api_document()["paths"] if segment_of(path) is not None]

WITH_AGREEMENT = [path for path in WITH_ID if segment_of(path) == "agreements"]
_READ_BESIDES = """\
crisis:
  - name: storm-watch
    scope: cyber-threats
    ceiling: TOP SECRET
    at_most: PT72H
    signatories:
      - {member: GBR, name: GBR signatory}
      - {member: ESP, name: ESP signatory}
"""
"""What has an agreement's crises read with it."""


class Counted:
    """Counts what costs: statements of the store, those of its hot paths among them, entries, headers that are opened."""

    def __init__(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        self._taken: list[str] = []
        store = api.world.services.store
        database, fetch, append = store._database, store._database.fetch, store.append

        async def counted_fetch(statement: Any, parameters: Any) -> Any:
            self._taken.append(statement.sql)
            return await fetch(statement, parameters)

        async def counted_append(draft: Any) -> Any:
            self._taken.append("entry")
            return await append(draft)

        opened = api.world.services.custodian.open_headers

        async def counted_opened(headers: Any) -> Any:
            self._taken.append("opened")
            return await opened(headers)

        def note(_connection: Any, _cursor: Any, statement: str, *_others: Any) -> None:
            self._taken.append(statement)

        self.note, self.engine = note, store._engine.sync_engine
        monkeypatch.setattr(database, "fetch", counted_fetch)
        monkeypatch.setattr(store, "append", counted_append)
        monkeypatch.setattr(api.world.services.custodian, "open_headers", counted_opened)
        event.listen(self.engine, "before_cursor_execute", note)

    def taken(self) -> list[str]:
        """Return what was run since the last time."""
        taken, self._taken = self._taken, []
        return taken


@pytest.fixture
def counted(api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counted]:
    counting = Counted(api, monkeypatch)
    yield counting
    event.remove(counting.engine, "before_cursor_execute", counting.note)


@pytest.mark.parametrize("share", range(SHARES))
async def test_10_hidden_thing_is_looked_up_like_an_absent_one(
    api: Api, hidden: Hidden, counted: Counted, subtests: pytest.Subtests, share: int
) -> None:
    for path in WITH_ID[share::SHARES]:
        with subtests.test(path=path):
            assert await _weighed(api, hidden, counted, path)


async def _weighed(api: Api, hidden: Hidden, counted: Counted, path: str) -> int:
    """Return how often the two cost something, and the same."""
    weighed = 0
    for method, operation in api.document["paths"][path].items():
        for name in outsiders_of(path):
            for an_id in hidden.ids(segment_of(path) or ""):
                costs = []
                # What is remembered for good is looked up once per process; an oracle would be what stays.
                for asked in (an_id, random_id(), an_id, random_id()):
                    counted.taken()
                    answer = await api.as_client(name).request(
                        method.upper(), filled(path, asked), **body_of(api, operation)
                    )
                    assert 400 <= answer.status_code < 500, (method, path, name)
                    costs.append(counted.taken())
                assert len(costs[2]) == len(costs[3]), (method, path, name, costs[2][-3:], costs[3][-3:])
                assert costs[2].count("entry") == costs[3].count("entry"), (method, path, name)
                weighed += bool(costs[2])
    return weighed


async def test_10_terms_are_read_for_nobody_whom_they_do_not_concern(
    api: Api, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, read = api.world.agreement_id, []
    theirs = await api.world.agree(AGREEMENT_OF_TWO + _READ_BESIDES, signatories=("GBR", "ESP"))
    lower = AGREEMENT_OF_TWO.replace("ceiling: SECRET", "ceiling: RESTRICTED")
    await usecases.propose_amendment(api.world.services, api.world.call("GBR signatory"), theirs, lower)
    api.world.agreement_id = ours

    def noted(value: object) -> object:
        read.append(value)
        return terms_from_stored(value)

    for module in (agreement_rows, amendments):
        monkeypatch.setattr(module, "terms_from_stored", noted)

    for path, name in product(WITH_AGREEMENT, OUTSIDERS["agreements"]):
        for method, operation in api.document["paths"][path].items():
            costs = []
            # The first of each are what is remembered for good.
            for asked in (theirs, random_id(), theirs, random_id()):
                counted.taken()
                read.clear()
                await api.as_client(name).request(method.upper(), filled(path, asked), **body_of(api, operation))
                costs.append((len(read), len(counted.taken())))
            assert costs[2] == costs[3], (method, path, name)

    # It is this that is counted: whom they concern, the same call reads them for.
    read.clear()
    answer = await api.as_client("GBR signatory").get(f"/v1/agreements/{theirs}")
    assert (answer.status_code, bool(read)) == (200, True)
