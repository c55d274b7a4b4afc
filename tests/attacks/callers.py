"""Who asks in the sweeps: somebody whose role the operation wants, on the side that may see the thing, or on the other."""

from typing import Any

from tests.attacks.hidden import Api
from tests.attacks.test_writes import WHO_MAY

ROLES = ("reader", "contributor", "releaser", "signatory", "auditor", "operator")
OUTSIDE = {
    "reader": "NOR reader",
    "contributor": "NOR contributor",
    "releaser": "NOR releaser",
    "signatory": "NOR signatory",
    "auditor": "NOR auditor",
    "operator": "NOR operator",
}
"""Clients of a party that may see nothing of what is hidden."""
INSIDE = {
    "reports": "GBR reader",
    "agreements": "GBR signatory",
    "clients": "operator",
    "entries": "auditor",
    "erasures": "operator",
    "subscriptions": "GBR reader",
    "onward-requests": "GBR releaser",
    "derivation-requests": "GBR releaser",
    "proxies": "GBR releaser",
    "caveats": "GBR releaser",
    "information-requests": "GBR reader",
    "consultations": "GBR signatory",
    "acts": "operator",
    "uploads": "GBR contributor",
}
"""Who may see the hidden thing of each kind where it belongs."""
_INSIDE_BY_ROLE = {
    "reader": "GBR reader",
    "contributor": "GBR contributor",
    "releaser": "GBR releaser",
    "signatory": "GBR signatory",
    "auditor": "auditor",
    "operator": "operator",
}


def roles_of(operation: dict[str, Any]) -> list[str]:
    """Return the roles that open an operation; of one that is the exchange's auditors' alone, that."""
    return [role for role in ROLES if role in WHO_MAY[operation["x-policy-action"]]] or ["auditor"]


def insider_of(operation: dict[str, Any]) -> str:
    """Return a client on the side of what is hidden whose role opens the operation."""
    return _INSIDE_BY_ROLE[roles_of(operation)[0]]


def body_of(api: Api, operation: dict[str, Any]) -> dict[str, Any]:
    """Return keywords that send what the document gives as an example, with an agreement that exists."""
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        return {"json": with_ids(content["application/json"]["example"], api.world.agreement_id)}
    if content:
        return {"content": b"canary ", "headers": {"Content-Type": next(iter(content))}}
    return {}


def with_ids(value: Any, an_id: str) -> Any:
    """Return an example with `an_id` in the place of each of its ids."""
    if isinstance(value, dict):
        return {name: with_ids(each, an_id) for name, each in value.items()}
    if isinstance(value, list):
        return [with_ids(each, an_id) for each in value]
    return an_id if isinstance(value, str) and value.startswith("01980000-0000-7000-8000-") else value
