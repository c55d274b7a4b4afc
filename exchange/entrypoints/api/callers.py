"""The caller itself, and the words it may use."""

from starlette.responses import Response

from exchange.entrypoints.http.routing import Operation, answered
from exchange.entrypoints.http.visit import Visit
from exchange.markings import Catalogue, Label, SecurityPolicy
from exchange.usecases import describe_caller, describe_vocabulary
from exchange.wire import LevelBody, PolicyBody, TitledCode, VocabularyBody, WhoamiBody


@Operation(method="GET", path="/v1/whoami", action="caller.describe", answer=WhoamiBody)
async def whoami(visit: Visit) -> Response:
    """Who the exchange takes this client for."""
    visit.read_query()
    recorded = await describe_caller(visit.services, visit.call)
    return answered(recorded, WhoamiBody.of(recorded.value, visit.call.assurance.value))


@Operation(method="GET", path="/v1/vocabulary", action="vocabulary.read", answer=VocabularyBody)
async def vocabulary(visit: Visit) -> Response:
    """The levels, categories, topics, regions, kinds and purposes, and what this client may originate."""
    visit.read_query()
    recorded = await describe_vocabulary(visit.services, visit.call)
    law = visit.services.law
    may_originate = recorded.value
    words = {
        name: [TitledCode(code=code, title=title) for code, title in getattr(law.vocabulary, name).items()]
        for name in ("topics", "regions", "kinds", "purposes")
    }
    policies = [
        _policy(policy, law.catalogue, list(may_originate.get(policy.id, ())))
        for policy in law.catalogue.policies.values()
    ]
    return answered(recorded, VocabularyBody(policies=policies, **words))


def _policy(policy: SecurityPolicy, catalogue: Catalogue, may_originate: list[str]) -> PolicyBody:
    levels = [
        LevelBody(
            name=level.name,
            marking=level.marking,
            equivalent=dict(catalogue.equivalents(Label(policy.id, level.name))),
        )
        for level in reversed(policy.levels)
    ]
    return PolicyBody(
        id=policy.id,
        title=policy.title,
        levels=levels,
        compartments=sorted(policy.compartments),
        handling=sorted(policy.caveats),
        may_originate=may_originate,
    )


OPERATIONS = (whoami, vocabulary)
