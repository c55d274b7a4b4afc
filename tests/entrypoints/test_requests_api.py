"""Requests for information over HTTP."""

ASKED = {
    "scope": "cyber-threats",
    "kind": "intrep",
    "topic": "cyber.apt",
    "regions": ["EUR"],
    "precedence": "PRIORITY",
    "subject": "Addresses of the group",
    "label": {"policy": "NATO", "classification": "SECRET", "releasable_to": ["GBR", "NOR"]},
    "text": "Which addresses does the group use against ports since May?",
    "deadline": "2030-06-30T12:00:00Z",
    "asked": ["NOR"],
}


async def test_request_is_where_location_says(world, http) -> None:
    made = await http("GBR reader").post("/v1/information-requests", json=ASKED | {"agreement": world.agreement_id})
    found = await http("GBR reader").get(made.headers["location"])

    assert (made.status_code, found.status_code) == (201, 200)
    assert found.json()["id"] == made.json()["id"]
