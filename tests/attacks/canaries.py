"""A journey that leaves a canary wherever a caller can leave one, and the secrets of the instance it is made on."""

import base64
import json
import re
from pathlib import Path

import httpx2

from tests.attacks.hidden import report_body
from tests.attacks.served import Instance, Running, client

CLIENTS = {"GBR writer": ("contributor",), "GBR reader": ("reader",), "NOR reader": ("reader",)}
POSTED = ("canary-subject", "canary-content", "canary-name.txt", "canary-key")
TYPED = (
    "canary-path",
    "canary-query",
    "canary-value",
    "canary-purpose",
    "canary-field",
    "canary-agent",
    "canary-cursor",
)
MARKING = "SECRET//REL TO"


async def journey(instance: Instance, running: Running) -> list[httpx2.Response]:
    """Post, list, pull, be refused and make every mistake; return the answers that were errors."""
    part = {"media_type": "text/plain", "name": POSTED[2], "content": POSTED[1], "encoding": "utf-8"}
    label = {"policy": "NATO", "classification": "SECRET", "releasable_to": ["GBR"]}
    body = report_body(instance.agreement, label=label, parts=[part], subject=POSTED[0])
    answers = []
    async with (
        client(instance, running, "GBR writer") as writer,
        client(instance, running, "GBR reader") as reader,
        client(instance, running, "NOR reader") as foreign,
    ):
        headers = {"Idempotency-Key": POSTED[3], "User-Agent": TYPED[5]}
        posted = await writer.post("/v1/reports", json=body, headers=headers)
        assert posted.status_code == 201, posted.text
        place = f"/v1/reports/{posted.json()['id']}"
        assert POSTED[1] in (await reader.get(place)).text
        assert POSTED[0] in (await reader.get("/v1/reports")).text
        answers += [await foreign.get(each) for each in (place, f"{place}/parts/1", f"{place}/explanation")]
        answers.append(await writer.post("/v1/reports", json=body | {"precedence": "FLASH"}, headers=headers))
        answers.append(await writer.post("/v1/reports", json=body | {TYPED[4]: TYPED[2]}))
        answers.append(await writer.post("/v1/reports", json=body | {"kind": TYPED[2], "label": {**label, "level": 1}}))
        answers.append(await writer.post("/v1/reports", content=b'{"' + TYPED[4].encode(), headers=JSON))
        answers.append(await reader.get(f"/v1/{TYPED[0]}?x={TYPED[1]}"))
        answers.append(await reader.get("/v1/reports", params={"after": TYPED[6]}))
        answers.append(await reader.get("/v1/reports", headers={"Exchange-Purpose": TYPED[3]}))
        answers.append(await reader.get(place, headers={"Accept": "text/canary-value"}))
    return answers


JSON = {"Content-Type": "application/json"}


def secrets_of(instance: Instance) -> list[bytes]:
    """Return each secret of the instance as it lies in its file and as a program might print it."""
    found = []
    for path in [*Path(instance.folder).glob("secrets/*"), *Path(instance.folder).glob("custody/*.json")]:
        content = path.read_bytes()
        found += [content.strip(), content.hex().encode(), base64.b64encode(content)]
        found += [line for line in content.splitlines() if len(line) >= 40]
        if path.suffix == ".json":
            found += [
                each.encode() for each in re.findall(r'"([A-Za-z0-9+/_=-]{40,})"', json.dumps(json.loads(content)))
            ]
    return [each for each in found if len(each) >= 16]
