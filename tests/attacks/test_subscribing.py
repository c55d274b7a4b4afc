"""Class 31: a subscription that would make the exchange call where its caller cannot."""

import pytest

from tests.attacks.hidden import Api, kept_state
from tests.support.world import World

INSIDE = (
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://localhost/",
    "https://[::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://169.254.169.254/latest/meta-data/",
    "https://metadata.google.internal/",
    "https://10.0.0.8/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://0.0.0.0/",
    "http://desk.example/",
    "file:///etc/passwd",
    "gopher://desk.example/",
    "https://user:password@desk.example/",
)


async def test_31_address_that_leads_inside_is_refused_and_nothing_is_kept(
    api: Api, world: World, subtests: pytest.Subtests
) -> None:
    before = kept_state(world)

    for url in INSIDE:
        answer = await api.as_client("NOR reader").post("/v1/subscriptions", json={"url": url})

        with subtests.test(url=url):
            assert answer.status_code == 422, answer.text
            assert answer.json()["errors"][0]["pointer"] == "/url"
            assert answer.headers["x-audit-entry"]
    assert kept_state(world) == before
