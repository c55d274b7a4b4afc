"""One decision, cached and not: as a reader, on every class of a filled database, in this process."""

from statistics import median
from time import perf_counter

from benchmarks.places import Place
from benchmarks.results import Result
from exchange.cli.instance import open_host
from exchange.kernel import new_id
from exchange.release import DecisionCache, Use, decide_cached, readable_classes
from exchange.usecases import Call
from exchange.usecases.steps.facts import reader_facts

_ROUNDS = 5
_CACHED_TIMES = 50


async def decisions(place: Place) -> list[Result]:
    """Return what one decision costs in microseconds; each figure is the median of rounds over all classes."""
    async with open_host(place.folder) as host:
        services = host.services
        row = await services.store.caller(place.readers[0].thumbprint)
        assert row.client is not None
        now = services.clock()
        call = Call(new_id(now, services.randomness), "bench", place.readers[0].thumbprint, now)
        await services.knowledge.agreements(services.store, row.state)
        kept = await services.knowledge.classes(services.store, row.state)
        reader = reader_facts(row.client, purpose="defence", call=call)
        version, law = row.state.policy_version, services.law
        cases = [
            (
                each.id,
                each.facts,
                services.knowledge.scope(each.facts.agreement, each.facts.scope, now, each.facts.edition),
            )
            for each in kept.values()
        ]

        def ask(cache: DecisionCache, times: int) -> float:
            begin = perf_counter()
            for _ in range(times):
                for class_id, facts, scope in cases:
                    decide_cached(
                        cache,
                        reader,
                        class_id=class_id,
                        facts=facts,
                        scope=scope,
                        policy_version=version,
                        use=Use.READ,
                        law=law,
                    )
            return (perf_counter() - begin) / times / len(cases) * 1e6

        def ask_batch() -> float:
            begin = perf_counter()
            scopes = {(facts.agreement, facts.scope): scope for _, facts, scope in cases}
            readable_classes(
                reader,
                {class_id: facts for class_id, facts, _ in cases},
                lambda facts: scopes[facts.agreement, facts.scope],
                policy_version=version,
                law=law,
                cache=DecisionCache(),
            )
            return (perf_counter() - begin) / len(cases) * 1e6

        cache = DecisionCache()
        uncached = median(ask(DecisionCache(), 1) for _ in range(_ROUNDS))
        ask(cache, 1)
        cached = median(ask(cache, _CACHED_TIMES) for _ in range(_ROUNDS))
        batch = median(ask_batch() for _ in range(_ROUNDS))
    told = f"{len(cases)} classes; in one batch, as a first list does it, {batch:.0f} us each"
    return [
        Result("decision_cached_us", "-", cached, "us", None, None, _ROUNDS, "target <= 5"),
        Result("decision_uncached_us", "-", uncached, "us", None, None, _ROUNDS, told),
    ]
