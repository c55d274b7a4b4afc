"""`exchange policy`: is the law sound, why may somebody (not) read a report, and who could read one like this.

The operator sees decisions and the rules behind them, never a report's content or subject.
"""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from exchange.audit import EventName, Outcome, Subject
from exchange.cli import output
from exchange.cli.given import id_given
from exchange.cli.instance import Host, folder_of, policies_folder, read_bytes
from exchange.cli.policy_caveats import ExamplesOption, caveat, show_preview
from exchange.cli.posting import law_catalogue, words_of_label
from exchange.cli.program import FAILED, app
from exchange.cli.report_options import (
    AgreementOption,
    KindOption,
    MarkingOption,
    RegionOption,
    ScopeOption,
    TopicOption,
)
from exchange.cli.usage import UsageError
from exchange.cli.verbs import (
    Connect,
    DirOption,
    JsonOption,
    Where,
    either_verb,
    host_verb,
    member_verb,
    perhaps_member_verb,
)
from exchange.client import ExchangeClient
from exchange.kernel import NotFoundError, UnavailableError, is_uuid7
from exchange.markings import (
    Catalogue,
    Label,
    UnknownMarkingError,
    from_stanag4774,
    parse_marking,
    render_marking,
    to_stanag4774,
)
from exchange.release import Explanation, Viewer, check_law
from exchange.settings import load_settings, read_policies
from exchange.store import Parts
from exchange.usecases import SimulatedReport, show_client, simulate_for_host
from exchange.usecases.reading.explain_report import explained
from exchange.usecases.steps.recording import NOT_AS_PUT, draft
from exchange.usecases.steps.sealed_headers import UNOPENED, known_class
from exchange.usecases.steps.seeking import judge
from exchange.wire import LabelBody, SimulationBody, SimulationRequest

policy = typer.Typer(help="The law: check it, explain a decision, simulate a release.", no_args_is_help=True)
app.add_typer(policy, name="policy")
policy.add_typer(caveat, name="caveat")


@policy.command("label")
def translate_label(
    marking: Annotated[
        str | None, typer.Argument(metavar="MARKING", help='Such as "NATO SECRET//REL TO GBR, NOR".')
    ] = None,
    xml: Annotated[
        Path | None, typer.Option("--xml", metavar="FILE", help="Read a label of STANAG 4774 instead.")
    ] = None,
    originator: Annotated[
        str | None,
        typer.Option("--originator", metavar="CODE", help="Whose it is: first in the list, alone where there is none."),
    ] = None,
    policy: Annotated[
        str | None, typer.Option("--policy", metavar="P", help="Whose level it is, where the marking does not say.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Turn a marking into a label of STANAG 4774, or such a label (--xml) into a marking; exit 1 on a fault."""
    if (marking is None) == (xml is None):
        raise UsageError("a marking, or `--xml FILE`? give one of the two")
    catalogue = law_catalogue()
    if xml is not None:
        found = from_stanag4774(read_bytes(xml), catalogue)
    else:
        found = parse_marking(str(marking), catalogue, policy=policy)
    text = render_marking(found, catalogue, originator=originator)
    if xml is not None and not as_json:
        output.show_line(text)
        return
    written = to_stanag4774(found, catalogue, created_at=datetime.now(UTC), originator=originator).decode()
    if as_json:
        output.show_json({"id": text, "label": found.as_json(), "stanag4774": written})
        return
    for line in written.splitlines():
        output.show_line(line)


@policy.command("vocabulary")
@member_verb
def show_vocabulary(client: ExchangeClient, as_json: JsonOption = False) -> None:
    """List topics, regions, kinds, purposes, and the markings of each policy, those that you may give among them."""
    words = client.vocabulary()
    if as_json:
        output.show_json({"id": "vocabulary", **words.model_dump(mode="json")})
        return
    for what, titled in (
        ("topic", words.topics), ("region", words.regions), ("kind", words.kinds), ("purpose", words.purposes),
    ):  # fmt: skip
        output.show_table((what, "is"), [(each.code, each.title) for each in titled])
    rows = [(law.id, each.marking, each.name in law.may_originate) for law in words.policies for each in law.levels]
    output.show_table(("policy", "marking", "yours to give"), rows)
    # They are a policy's: at each of its levels again they made lines that nobody reads.
    output.show_table(("policy", "compartments"), [(law.id, output.listed(law.compartments)) for law in words.policies])
    output.show_table(("policy", "handling"), [(law.id, output.listed(law.handling)) for law in words.policies])


@policy.command("check")
@perhaps_member_verb
def check(
    connect: Connect,
    dir: DirOption = None,  # noqa: A002  what the option is called
    policies: Annotated[
        Path | None, typer.Option("--policies", metavar="DIR", help="A folder of policy files.")
    ] = None,
    caveats: Annotated[
        Path | None, typer.Option("--caveats", metavar="FILE", help="Your member's caveats (releaser, over HTTPS).")
    ] = None,
    examples: ExamplesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Load the law and run the examples beside its guards, or say what your caveats would stop; exit 1 on a fault."""
    if caveats is None and examples is not None:
        raise UsageError("`--examples` goes with `--caveats`: the policy files bring their own")
    if caveats is not None:
        if dir is not None or policies is not None:
            raise UsageError("the policy files, or a member's caveats? give one of the two")
        with connect() as client:
            show_preview(client, caveats, examples, as_json=as_json)
        return
    folder = policies or _law_of(dir)
    report = check_law(read_policies(folder))
    if as_json:
        faults = [{"pointer": one.pointer, "code": one.code, "message": one.message} for one in report.faults]
        shown = {"id": report.law.digest, "examples": len(report.examples), "ok": report.is_sound, "faults": faults}
        output.show_json(shown)
    else:
        for fault in report.faults:
            output.show_line(f"FAIL  {fault}")
        output.show_line(
            f"{len(report.examples)} examples run, {len(report.faults)} faults; digest {report.law.digest}"
        )
    if not report.is_sound:
        raise typer.Exit(FAILED)


def _law_of(given: Path | None) -> Path:
    """Return the law of the instance given or in EXCHANGE_DIR; without one, what came with the program."""
    is_named = given is not None or os.environ.get("EXCHANGE_DIR")
    return load_settings(folder_of(given)).policies_dir if is_named else policies_folder()


@policy.command("explain")
@host_verb
async def explain_decision(
    host: Host,
    id: Annotated[str, typer.Argument(metavar="ID", help="The report's id.", callback=id_given)],  # noqa: A002
    client: Annotated[str, typer.Option("--client", metavar="ID", help="For which client.", callback=id_given)],
    as_json: JsonOption = False,
) -> None:
    """Say why a client may (not) read a report: each rule and what it said (operator)."""
    from exchange.entrypoints.api.reports import decision_name

    explanation = await _explained(host, id, client)
    catalogue = host.services.law.catalogue
    decision = decision_name(explanation.decision) or "refuse"
    if as_json:
        rules = [
            {
                "number": rule.number,
                "name": rule.name,
                "outcome": rule.outcome.value,
                "reason": None if rule.reason is None else rule.reason.value,
                "sentence": rule.sentence,
                "marking": None if rule.label is None else _marking(rule.label, catalogue),
            }
            for rule in explanation.rules
        ]
        reasons = [reason.value for reason in explanation.reasons]
        output.show_json({"id": id, "client": client, "decision": decision, "reasons": reasons, "rules": rules})
        return
    reasons_told = ", ".join(reason.value for reason in explanation.reasons) or "none"
    output.show_record({"report": id, "client": client, "decision": decision, "reasons": reasons_told})
    rows = [
        (
            rule.number,
            rule.name,
            rule.outcome.value,
            rule.sentence,
            "" if rule.label is None else _marking(rule.label, catalogue),
        )
        for rule in explanation.rules
    ]
    output.show_table(("rule", "name", "outcome", "why", "of label"), rows)


@policy.command("simulate")
@either_verb
async def simulate(
    where: Where,
    agreement: AgreementOption,
    scope: ScopeOption,
    kind: KindOption,
    topic: TopicOption,
    region: RegionOption,
    marking: MarkingOption,
    originator: Annotated[
        str | None, typer.Option("--originator", metavar="CODE", help="Whose report (operator only).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say who could read such a report, without posting it: as operator (--dir) or contributor (--url).

    Exit 1 where there are clients whose rows cannot be read: they are named, and nothing is shown to them.
    """
    label = parse_marking(marking, law_catalogue())
    supposed = SimulatedReport(agreement, scope, kind, topic, tuple(region), label)
    if isinstance(where, Host):
        outlook, unread = await _simulated(where, supposed, originator)
    elif originator is not None:
        raise UsageError("as a member you simulate your own reports: leave `--originator` out")
    else:
        outlook, unread = _asked(where, supposed), ()
    if as_json:
        lacking = {"unopened": [{"id": each} for each in unread]} if unread else {}
        output.show_json({"id": agreement, **outlook.model_dump(mode="json"), **lacking})
    else:
        _show_outlook(outlook)
    if unread:
        output.warn(
            f"not counted, for what is stored of them cannot be read, and so refused: {output.listed(unread)};"
            " restore their rows, or enrol them anew"
        )
        raise typer.Exit(FAILED)


def _show_outlook(outlook: SimulationBody) -> None:
    rows = [
        (
            member.member,
            "can read" if member.can_read else "cannot",
            ", ".join(f"{one.agency}: {one.full} full, {one.tear_line} tear-line" for one in member.agencies),
            ", ".join(member.reasons),
        )
        for member in outlook.members
    ]
    output.show_table(("member", "outlook", "clients", "why not"), rows)


@policy.command("gaps")
@member_verb
def gaps(
    client: ExchangeClient,
    member: Annotated[str | None, typer.Option("--member", metavar="CODE", help="One other member; else all.")] = None,
    topic: Annotated[str | None, typer.Option("--topic", metavar="T", help="One topic; else every one.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", metavar="K", help="One kind of report; else any.")] = None,
    region: Annotated[str | None, typer.Option("--region", metavar="R", help="One region; else any.")] = None,
    level: Annotated[
        str | None, typer.Option("--level", metavar="LEVEL", help="Up to which level reports should go.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what no agreement lets your member post to others, or others to it."""
    found = client.gaps(member=member, topic=topic, kind=kind, region=region, level=level)
    if as_json:
        output.show_json(found)
        return
    for each in found:
        output.show_line(each.sentence)
    output.show_line(f"{len(found)} gaps")


async def _explained(host: Host, report_id: str, client_id: str) -> Explanation:
    services, call = host.services, host.call()
    client = (await show_client(services, call, client_id)).value.client
    # No certificate has an empty thumbprint: the row is loaded for nobody.
    row = await services.store.report_for("", report_id, parts=Parts.NONE) if is_uuid7(report_id) else None
    if row is None or row.report is None:
        raise NotFoundError(f"there is no report `{report_id[:60]}`")
    try:
        await known_class(services, row.report)
    except UNOPENED as exc:
        raise UnavailableError(NOT_AS_PUT) from exc
    judged = await judge(services, call, client, row.report, row.state, is_asked=False)
    subject = Subject("report", judged.report.id, judged.report.version)
    entry = draft(
        call,
        None,
        EventName.REPORT_EXPLAINED,
        Outcome.PERMITTED,
        subject=subject,
        owner=judged.facts.originator,
        detail={"client": client.id, "viewer": Viewer.EXCHANGE.value},
    )
    await services.store.append(entry)
    return explained(call, judged, Viewer.EXCHANGE)


def _marking(label: Label, catalogue: Catalogue) -> str:
    try:
        return render_marking(label, catalogue)
    except UnknownMarkingError:
        # Why nobody reads what has a word that the law has no more is just what is asked for.
        return words_of_label(LabelBody.of(label))


async def _simulated(
    host: Host, supposed: SimulatedReport, originator: str | None
) -> tuple[SimulationBody, tuple[str, ...]]:
    from exchange.entrypoints.api.simulations import simulation_body

    if originator is None:
        raise UsageError("whose report would it be? give `--originator CODE`")
    found = (await simulate_for_host(host.services, host.call(), supposed, originator)).value
    return simulation_body(found.simulation.members), found.unread


def _asked(client: ExchangeClient, supposed: SimulatedReport) -> SimulationBody:
    request = SimulationRequest(
        agreement=supposed.agreement,
        scope=supposed.scope,
        kind=supposed.kind,
        topic=supposed.topic,
        regions=list(supposed.regions),
        label=LabelBody.of(supposed.label),
    )
    return client.simulate(request)
