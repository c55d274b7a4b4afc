"""A traced custodian's acts: each is one span, which notes the act and how many, and nothing of what was kept."""

import secrets
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from exchange.custody import CustodyUnavailableError, FileCustodian, TracedCustodian, create_root_file
from exchange.kernel.spans import Mark, SpanName
from tests.core.custody.contract import CONTEXT, DATA_KEY, NAME, PLACE, row_of


class Spans:
    """A tracer that remembers the spans, each with its marks."""

    def __init__(self):
        self.ended = []

    @contextmanager
    def span(self, name):
        marks = []
        yield Noted(marks)
        self.ended.append((name, marks))


class Noted:
    def __init__(self, marks):
        self.marks = marks

    def note(self, mark, value):
        self.marks.append((mark, value))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "roots.json"
    create_root_file(path, datetime(2026, 3, 1, tzinfo=UTC), secrets.token_bytes)
    return path


async def test_each_act_is_one_span_that_notes_the_act_and_how_many(path):
    spans = Spans()
    custodian = TracedCustodian(FileCustodian.load(path), spans)
    wrapped = await custodian.wrap(NAME, DATA_KEY, CONTEXT)
    await custodian.unwrap(wrapped, CONTEXT)
    sealed = row_of(await custodian.seal_header(NAME, b"header", PLACE))
    await custodian.open_headers([(sealed, PLACE)] * 3)
    await custodian.check()
    await custodian.renew()
    await custodian.status()

    assert spans.ended == [
        (SpanName.CUSTODY, [(Mark.ACT, "wrap")]),
        (SpanName.CUSTODY, [(Mark.ACT, "unwrap")]),
        (SpanName.CUSTODY, [(Mark.ACT, "seal-header")]),
        (SpanName.CUSTODY, [(Mark.ACT, "open-headers"), (Mark.COUNT, 3)]),
        (SpanName.CUSTODY, [(Mark.ACT, "check")]),
        (SpanName.CUSTODY, [(Mark.ACT, "renew")]),
        (SpanName.CUSTODY, [(Mark.ACT, "status")]),
    ]


async def test_check_that_fails_fails_traced_too(path):
    class Broken(FileCustodian):
        async def unwrap(self, wrapped, context):
            return bytes(32)

    with pytest.raises(CustodyUnavailableError):
        await TracedCustodian(Broken.load(path), Spans()).check()
