"""A real exchange in a process of its own, with three members under an agreement."""

from collections.abc import Iterator

import pytest

from tests.support.house import ROOT, House, done, served
from tests.support.law import law_read_once  # noqa: F401  for every test of this folder


@pytest.fixture(scope="session")
def house(tmp_path_factory) -> Iterator[House]:
    """One exchange for the whole session; tests add reports and clients of their own and take nothing away."""
    base = tmp_path_factory.mktemp("house")
    home = House(base / "instance")
    done("init", "--dir", home.folder)
    for code in ("GBR", "NOR", "DNK", "ESP"):
        done("member", "add", code, "--name", code, "--dir", home.folder)
    home.enrol("gbr", "GBR", "--role", "contributor", "--role", "reader", "--role", "signatory")
    for name, code in (("nor", "NOR"), ("dnk", "DNK"), ("esp", "ESP")):
        home.enrol(name, code, "--role", "reader", "--role", "signatory")
    home.enrol("operator", "EXCHANGE", "--role", "operator")
    with served(home.folder, base / "serve.log") as url:
        home.url = url
        terms = ROOT / "policies" / "agreements" / "north-sea-cyber.yaml"
        home.agreement = home.as_("gbr", "agreement", "propose", terms, "--json").json["id"]
        for name in ("gbr", "nor", "dnk"):
            assert home.sign(name, home.agreement).code == 0
        yield home
