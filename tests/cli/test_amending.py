"""What `exchange report amend` and `supersede` send where something is not given: it stays as it was read."""

from pathlib import Path
from unittest.mock import Mock

import pytest

from exchange.cli.report_life import amend, supersede
from exchange.kernel import ExchangeError
from exchange.wire import PulledReportBody

REPORT = "01a206dc-85dc-7553-b174-629c9b01e720"
HIGH = {"policy": "NATO", "classification": "SECRET", "releasable_to": ["GBR", "NOR"]}
LOW = {"policy": "NATO", "classification": "RESTRICTED", "releasable_to": ["DNK", "GBR", "NOR"]}


def pulled_part(number: int, name: str, label: dict[str, object]) -> dict[str, object]:
    return {
        "number": number, "label": label, "marking": "M", "media_type": "text/plain", "name": name, "size_bytes": 1,
        "protection": "exchange", "sha256": "0" * 64, "content": "x", "encoding": "utf-8",
    }  # fmt: skip


PULLED = PulledReportBody.model_validate(
    {
        "id": REPORT, "agreement": REPORT, "scope": "s", "originator": "GBR", "kind": "intrep", "topic": "cyber",
        "regions": ["EUR"], "precedence": "ROUTINE", "subject": "x", "label": HIGH, "marking": "M",
        "posted_at": "2026-01-01T00:00:00Z", "valid_until": None, "declassify_on": None, "status": "current",
        "version": 1, "supersedes": None, "references": [],
        "parts": [pulled_part(1, "all.txt", HIGH), pulled_part(2, "tear.txt", LOW), pulled_part(3, "more.txt", LOW)],
    }
)  # fmt: skip


@pytest.mark.parametrize("verb", [amend, supersede])
def test_part_that_is_given_no_marking_keeps_its_tear_line(tmp_path: Path, verb: Mock) -> None:
    """Whoever corrected a report lost its tear-line, and its readers with it: a contributor cannot lower it again."""
    files = [tmp_path / name for name in ("all.txt", "tear.txt", "more.txt", "new.txt")]
    for file in files:
        file.write_text("y")
    client = Mock()
    client.pull_report.return_value = PULLED
    client.life.amend.side_effect = client.post_report.side_effect = ExchangeError("enough")

    with pytest.raises(ExchangeError, match="enough"):
        verb.__wrapped__(client, REPORT, files, part_marking=["more.txt=NATO CONFIDENTIAL//REL TO GBR, NOR"])

    body = (client.life.amend.call_args or client.post_report.call_args).args[-1]
    levels = [None if part.label is None else part.label.classification for part in body.parts]
    assert levels == [None, "RESTRICTED", "CONFIDENTIAL", None]
