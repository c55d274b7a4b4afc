"""What members of a walk ask each other for: the deeds, and what each client is told of it held against plain words."""

from datetime import timedelta

from exchange import usecases
from exchange.kernel import NotFoundError
from exchange.markings import Label
from tests.support.plain_asking import Answer, Request
from tests.support.plain_world import Report
from tests.support.walked_deeds import label_of, marking_of, posted, some
from tests.support.walked_world import CONTRIBUTORS, NOT_FOR_IT, READERS, Deed, Walk

ASKERS = ("GBR reader", "NOR reader", "DNK reader", "ESP reader")
NAMES = (*sorted(READERS), *sorted(CONTRIBUTORS))
_ALL = ("DNK", "ESP", "GBR", "NOR")
_LEVELS = ("RESTRICTED", "CONFIDENTIAL", "SECRET")
_DEADLINES = (timedelta(hours=5, minutes=30), timedelta(days=6, minutes=30), timedelta(days=40, minutes=30))


async def ask(walk: Walk, a: int, b: int, c: int) -> str:
    """Ask all contributors whom the label names, or one of them; mostly somebody asks who takes part, in words for all."""
    plain, label = walk.plain, label_of(b, c) if b % 4 == 0 else Label("NATO", _LEVELS[b % 3], releasable_to=_ALL)
    able = sorted(plain.text.readers & plain.active(walk.now)) if c % 8 else ["ESP"]
    name = f"{(able or ['GBR'])[a % len(able or ['GBR'])]} reader"
    able = sorted(plain.text.contributors.intersection(label.releasable_to) - {name[:3]})
    asked = tuple(able if b % 2 else able[:1])
    deadline = walk.now + _DEADLINES[c % len(_DEADLINES)]
    wanted = walk.world.wanted(
        label=label, asked=asked or ("NOR",), topic=("cyber.apt", "cyber.malware")[c % 2], deadline=deadline
    )
    view = (await usecases.request_information(walk.services, walk.call(name), wanted)).value
    like = Report(name[:3], len(plain.texts), wanted.topic, marking_of(label), (), None)
    plain.last_place += 1
    walk.asking.requests[view.row.id] = Request(like, frozenset(asked), deadline, plain.last_place)
    return f"{view.row.id}: {name} asks {asked} {label}"


async def answer(walk: Walk, a: int, b: int, c: int) -> str:
    """Answer a request with a report that there is, or with one that is posted for it."""
    able = [
        (request, member)
        for request, each in walk.asking.requests.items()
        for member in sorted(each.asked)
        if request in walk.asking.readable(f"{member} contributor", walk.now) and each.ended is None
    ]
    request, member = able[a % len(able)] if able and c % 8 else (_some_request(walk, a), "NOR")
    plain = walk.asking.requests[request]
    asker = plain.like.originator
    if b % 3 == 0 or member not in {"GBR", "NOR"}:
        report = some(walk, c)
    else:
        named = tuple(sorted({asker, member})) if c % 4 else tuple(sorted({"DNK", "GBR", "NOR"}))
        label = Label("NATO", ("RESTRICTED", "SECRET")[b % 2], releasable_to=named)
        report = await posted(walk, member, member, label=label)
    name = f"{member} contributor"
    await usecases.answer_request(walk.services, walk.call(name), request, report)
    plain.answers.append(Answer(report, name, member))
    return f"{request} with {report} by {name}"


async def end_request(walk: Walk, a: int, b: int, _: int) -> str:
    """Close a request, or withdraw it."""
    request = _some_request(walk, a)
    plain = walk.asking.requests[request]
    end, state = ((usecases.close_request, "closed"), (usecases.withdraw_request, "withdrawn"))[b % 2]
    await end(walk.services, walk.call(f"{plain.like.originator} reader"), request)
    plain.ended = state
    return f"{request} is {state}"


ASKING: tuple[Deed, ...] = (ask, ask, ask, answer, answer, answer, end_request)


async def compare_asking(walk: Walk, node: int, name: str, purpose: str | None = None) -> None:
    """Have a client list and show all requests: it is told what plain words say, and of nothing else."""
    services, call = walk.nodes[node % len(walk.nodes)], walk.call(name, purpose=purpose)
    readable = walk.asking.readable(name, walk.now, purpose)
    try:
        views = list((await usecases.list_requests(services, call)).value.items)
    except NOT_FOR_IT:
        views = []
    found = [each.row.id for each in views]
    walk.require(found == readable, f"{purpose}: {name} lists requests {found} and not {readable}")
    for request in walk.asking.requests:
        try:
            views.append((await usecases.show_request(services, call, request)).value)
        except NOT_FOR_IT:
            walk.require(request not in readable, f"{purpose}: {name} is not shown {request}")
    for view in views:
        request = view.row.id
        walk.require(request in readable, f"{purpose}: {name} is shown {request}")
        told = view.state.value, sorted(each.report for each in view.answers), set(view.asked)
        meant = (
            walk.asking.state_for(name, request, walk.now, purpose),
            sorted(walk.asking.answers_for(name, request, walk.now, purpose)),
            walk.asking.asked_for(name, request),
        )
        walk.require(told == meant, f"{purpose}: {name} is told {told} of {request} and not {meant}")


def _some_request(walk: Walk, number: int) -> str:
    requests = list(walk.asking.requests)
    if not requests:
        raise NotFoundError("nothing was asked yet")
    return requests[number % len(requests)]
