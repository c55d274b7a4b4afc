"""What `exchange report watch` prints about an event that is no report."""

import json

from exchange.cli.reports import _show_event
from exchange.client import ToldEvent

ASKED = ToldEvent("request", {"precedence": "FLASH", "request": "r-1"}, "c2")


def test_request_is_one_line_of_words(capsys):
    _show_event(ASKED, as_json=False)

    assert capsys.readouterr().out.split() == ["request", "FLASH", "r-1"]


def test_request_is_one_object_with_its_id_and_where_to_resume(capsys):
    _show_event(ASKED, as_json=True)

    told = json.loads(capsys.readouterr().out)
    assert told == {"id": "r-1", "cursor": "c2", "report": None, "request": {"precedence": "FLASH", "request": "r-1"}}
