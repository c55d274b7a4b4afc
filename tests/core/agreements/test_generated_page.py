"""The page about agreements says what the tables say."""

from tests.core.agreements.worlds import ROOT
from tests.support.generated import agreements_doc


def test_page_is_made_from_the_tables():
    assert (ROOT / agreements_doc.PATH).read_text("utf-8") == agreements_doc.render()


def test_page_names_every_move_and_state():
    page = agreements_doc.render()

    for arrow in (
        "draft --> signed: sign",
        "signed --> in_force: first day comes",
        "in_force --> expired: last day passes",
    ):
        assert arrow in page
