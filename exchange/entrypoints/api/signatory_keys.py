"""Keys of signatories: enrolled and retired by operators, seen by their own member."""

from starlette.responses import Response

from exchange.audit import EventName
from exchange.entrypoints.api.parameters import CLIENT_ID
from exchange.entrypoints.http.routing import Operation, answered, read_as
from exchange.entrypoints.http.visit import Visit
from exchange.members import Role
from exchange.usecases import OfferedKey, enrol_signatory_key, list_signatory_keys, retire_signatory_key
from exchange.wire import KeyRetirement, SignatoryKeyBody, SignatoryKeyListBody, SignatoryKeyOffer

_EXAMPLE_SIGNATURE = {"ed25519": "AAAA", "ml_dsa_65": "AAAA"}


@Operation(
    method="GET",
    path="/v1/clients/{id}/signature-keys",
    action="signatory-key.list",
    answer=SignatoryKeyListBody,
    parameters=(CLIENT_ID,),
)
async def list_(visit: Visit) -> Response:
    """List the keys that a signatory signs with, and those it signed with."""
    visit.read_query()
    recorded = await list_signatory_keys(visit.services, visit.call, visit.path["id"])
    return answered(recorded, SignatoryKeyListBody(items=[SignatoryKeyBody.of(each) for each in recorded.value]))


@Operation(
    method="POST",
    path="/v1/clients/{id}/signature-keys",
    action="signatory-key.enrol",
    body=SignatoryKeyOffer,
    answer=SignatoryKeyBody,
    status=201,
    parameters=(CLIENT_ID,),
    errors=(409,),
    example={"ed25519": "AAAA", "ml_dsa_65": "AAAA", "proof": _EXAMPLE_SIGNATURE},
)
async def enrol(visit: Visit) -> Response:
    """Enrol a key for a signatory, with the proof that the signatory holds it."""
    offer = await read_as(visit, SignatoryKeyOffer, Role.OPERATOR, event=EventName.SIGNATORY_KEY_ENROLLED)
    offered = OfferedKey(*offer.raw(), offer.proof.to_signature())
    recorded = await enrol_signatory_key(visit.services, visit.call, visit.path["id"], offered)
    return answered(recorded, SignatoryKeyBody.of(recorded.value), status=201)


@Operation(
    method="POST",
    path="/v1/clients/{id}/signature-keys/retirement",
    action="signatory-key.retire",
    body=KeyRetirement,
    answer=SignatoryKeyListBody,
    parameters=(CLIENT_ID,),
    example={"key": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
)
async def retire(visit: Visit) -> Response:
    """Retire a signatory's key from the next signature on; what it signed stands."""
    given = await read_as(visit, KeyRetirement, Role.OPERATOR, event=EventName.SIGNATORY_KEY_RETIRED)
    recorded = await retire_signatory_key(visit.services, visit.call, visit.path["id"], given.key)
    return answered(recorded, SignatoryKeyListBody(items=[SignatoryKeyBody.of(each) for each in recorded.value]))


OPERATIONS = (list_, enrol, retire)
