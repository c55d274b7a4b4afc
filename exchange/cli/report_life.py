"""`exchange report amend|supersede|downgrade|recall|destruction`: what is done to a report after it was posted."""

import base64
import binascii
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.asking import YesOption, ask, is_asked
from exchange.cli.given import checked, day_given, day_or_moment
from exchange.cli.instance import write_new
from exchange.cli.own_clearance import absent_told_with_own_end
from exchange.cli.posting import checked_body, label_of, law_catalogue, parts_of, words_of_label
from exchange.cli.report_group import IdArgument, reports
from exchange.cli.report_options import MediaTypes, PartMarkings, SourcesPurposeOption
from exchange.cli.reports import show_posted
from exchange.cli.usage import UsageError
from exchange.cli.verbs import JsonOption, member_verb
from exchange.cli.whole_lists import lists_whole
from exchange.client import ExchangeClient
from exchange.kernel import InvalidError, UnsafeSettingError, counted
from exchange.wire import (
    AmendmentBody,
    AskedDestructionBody,
    CertificateBody,
    DestructionBody,
    DowngradeBody,
    HeaderBody,
    MadeVersionBody,
    PartBody,
    RecallBody,
    RecallOutlookBody,
)

destructions = typer.Typer(help="Destruction of recalled reports: list, certify.", no_args_is_help=True)

NewMarking = Annotated[str | None, typer.Option("--marking", metavar="TEXT", help="Unset: as it is.")]
NewSubject = Annotated[str | None, typer.Option("--subject", metavar="TEXT", help="Unset: as it is.")]
Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="One file for each part.")]
_FAULTY = "what is asked for has faults"
VersionOption = Annotated[int | None, typer.Option("--if-version", metavar="N", help="Only while it is at this one.")]


@reports.command("amend")
@member_verb
def amend(
    client: ExchangeClient,
    id: IdArgument,  # noqa: A002
    files: Files,
    marking: NewMarking = None,
    part_marking: PartMarkings = None,
    media_type: MediaTypes = None,
    subject: NewSubject = None,
    valid_until: Annotated[str | None, typer.Option("--valid-until", metavar="TIME")] = None,
    declassify_on: Annotated[str | None, typer.Option("--declassify-on", metavar="DATE")] = None,
    if_version: VersionOption = None,
    purpose: SourcesPurposeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a new version in the place of a report (contributor that reads it); what is not given stays as it is."""
    catalogue = law_catalogue()
    parts = parts_of(files, catalogue, part_markings=part_marking or [], media_types=media_type or [])
    with absent_told_with_own_end(client, purpose):
        before = client.pull_report(id, purpose=purpose)
    kept = before.valid_until if valid_until is None else day_or_moment(valid_until)
    wanted = {
        **_as_it_is(before),
        "subject": before.subject if subject is None else subject,
        "label": before.label if marking is None else label_of(marking, catalogue),
        "valid_until": kept,
        "declassify_on": before.declassify_on if declassify_on is None else day_given(declassify_on),
        "parts": _marked_as(before, parts),
    }
    # What stays as it is was read from this version: of a later one it would take back what that one changed.
    meant = before.version if if_version is None else if_version
    amendment = checked(AmendmentBody, wanted, else_told=_FAULTY)
    made = client.life.amend(id, amendment, if_version=meant, purpose=purpose)
    _show_made(made, "amended", as_json=as_json)


@reports.command("supersede")
@member_verb
def supersede(
    client: ExchangeClient,
    id: IdArgument,  # noqa: A002
    files: Files,
    marking: NewMarking = None,
    part_marking: PartMarkings = None,
    media_type: MediaTypes = None,
    subject: NewSubject = None,
    purpose: SourcesPurposeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Post a report in the place of another one, which stays as superseded; what is not given is taken from it."""
    catalogue = law_catalogue()
    parts = parts_of(files, catalogue, part_markings=part_marking or [], media_types=media_type or [])
    with absent_told_with_own_end(client, purpose):
        before = client.pull_report(id, purpose=purpose)
    body: dict[str, object] = {
        **_as_it_is(before),
        "agreement": before.agreement,
        "scope": before.scope,
        "subject": before.subject if subject is None else subject,
        "label": before.label if marking is None else label_of(marking, catalogue),
        "supersedes": id,
        "parts": _marked_as(before, parts),
    }
    show_posted(client.post_report(checked_body(body), purpose=purpose), as_json=as_json)


@reports.command("downgrade")
@member_verb
def downgrade(
    client: ExchangeClient,
    id: IdArgument,  # noqa: A002
    marking: Annotated[str, typer.Option("--marking", metavar="TEXT", help='Such as "NATO RESTRICTED//REL TO GBR".')],
    part_marking: Annotated[
        list[str] | None, typer.Option("--part-marking", metavar="TEXT", help="One for each part, in their order.")
    ] = None,
    if_version: VersionOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Lower the marking of a report (releaser of its originator); above CONFIDENTIAL a second one confirms."""
    catalogue = law_catalogue()
    wanted = DowngradeBody(
        label=label_of(marking, catalogue),
        part_labels=None if part_marking is None else [label_of(text, catalogue) for text in part_marking],
    )
    if is_asked(yes=yes):
        ask("lowers the marking of a report: who reads it then has read it", _told_of_downgrade(id, wanted, if_version))
    made = client.life.downgrade(id, wanted, if_version=if_version)
    done = "downgraded" if made.act is None else "waits for a second releaser: `exchange act confirm`"
    _show_made(made, done, as_json=as_json)


def _told_of_downgrade(report: str, wanted: DowngradeBody, version: int | None) -> dict[str, object]:
    parts = wanted.part_labels or []
    return {
        "id": report,
        "version": "whichever it is at" if version is None else version,
        "to": words_of_label(wanted.label),
        **{f"part {number}": words_of_label(label) for number, label in enumerate(parts, start=1) if label is not None},
    }


@reports.command("recall")
@member_verb
def recall(
    client: ExchangeClient,
    id: IdArgument,  # noqa: A002
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Stands on the tombstone.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Show a recall that was made.")] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Recall a report for good (releaser of its originator); whoever read it is asked to destroy it."""
    if show:
        _show_recall(client.life.recalled(id), "recalled", as_json=as_json)
        return
    if not reason:
        raise UsageError("say why it is recalled: `--reason TEXT`")
    if is_asked(yes=yes):
        ask("recalls a report: its keys are destroyed, on every node", _told_of_recall(client.life.recall_outlook(id)))
    _show_recall(client.life.recall(id, reason), "recalled for good", as_json=as_json)


def _told_of_recall(outlook: RecallOutlookBody) -> dict[str, object]:
    given = [f"{each.clients} of {each.member}" for each in outlook.given]
    clients = sum(each.clients for each in outlook.given)
    return {
        "id": outlook.id,
        "marking": outlook.marking,
        "version": outlook.version,
        "agreement": f"{outlook.agreement}, {outlook.scope}",
        "asked to destroy it": f"{counted(clients, 'client', 'clients')}: {', '.join(given)}"
        if given
        else "nobody: nobody was given it",
    }


@reports.command("notices")
@member_verb
@lists_whole("notices")
def list_notices(
    client: ExchangeClient,
    after: Annotated[str | None, typer.Option("--after", metavar="CURSOR", help="Only what came behind it.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List what happened to reports that you were given: recalled, superseded, amended, raised or lowered."""
    page = client.life.notices(after)
    if as_json:
        output.show_json(page)
        return
    rows = [(each.at, each.kind, each.report, each.version, each.superseded_by or "-") for each in page.items]
    output.show_table(("time", "what", "report", "version", "by"), rows)
    output.note(f"behind it: `--after {page.next}`")


@destructions.command("list")
@member_verb
@lists_whole("destructions")
def list_destructions(client: ExchangeClient, as_json: JsonOption = False) -> None:
    """List the recalled reports that you, or for a releaser its member, are still to destroy."""
    found = client.life.destructions()
    rows = ((each.id, each.destruction.client, each.destruction.state, _time(each.destruction)) for each in found)
    output.show_list(found, ("report", "client", "state", "until"), rows, as_json=as_json)


@destructions.command("certify")
@member_verb
def certify(
    client: ExchangeClient,
    id: IdArgument,  # noqa: A002
    method: Annotated[str, typer.Option("--method", metavar="TEXT", help="How it was destroyed.")],
    copies: Annotated[int, typer.Option("--copies", metavar="N", help="How many copies there were.")] = 1,
    of_client: Annotated[
        str | None, typer.Option("--client", metavar="CLIENT", help="Another client of your member (releaser).")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the certificate here.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Certify that you have destroyed a recalled report; the exchange signs what you say."""
    if out is not None and os.path.lexists(out):
        raise InvalidError(f"`{out}` exists already: nothing was certified; name another `--out`")
    certificate = checked(CertificateBody, {"method": method, "copies": copies, "client": of_client}, else_told=_FAULTY)
    returned = client.life.certify_destruction(id, certificate)
    if as_json:
        # First: it is given once, and who reads this has it whatever becomes of the file.
        output.show_json(returned)
    note = _note_of(returned)
    fault = None if out is None else _fault_of_writing(out, note)
    is_kept = out is not None and fault is None
    if not as_json:
        told = {
            "report": returned.id,
            "client": returned.destruction.client,
            **({"certificate": out} if is_kept else {}),
        }
        output.show_record(told, title="certified")
        if not is_kept:
            for line in note.decode().splitlines():
                output.show_line(line)
    if fault is not None:
        # It is given once: what was certified is not certified again.
        raise InvalidError(f"{fault}: it is certified all the same, keep the certificate that is printed")


def _as_it_is(before: HeaderBody) -> dict[str, object]:
    return {
        "kind": before.kind,
        "topic": before.topic,
        "regions": before.regions,
        "precedence": before.precedence,
        "valid_until": before.valid_until,
        "declassify_on": before.declassify_on,
        "references": before.references,
        "conditions": before.conditions,
    }


def _marked_as(before: HeaderBody, parts: Sequence[PartBody]) -> list[PartBody]:
    """Return the parts, one that is given no marking with that of the part of its name, as all that is not given."""
    labels = {part.name: part.label for part in before.parts if part.label != before.label}
    return [part if part.label else part.model_copy(update={"label": labels.get(part.name)}) for part in parts]


def _note_of(returned: AskedDestructionBody) -> bytes:
    try:
        return base64.b64decode(returned.destruction.certificate or "", validate=True)
    except binascii.Error as exc:
        raise InvalidError("the certificate in the answer is no base64") from exc


def _fault_of_writing(out: Path, note: bytes) -> str | None:
    """Write a certificate; return why it cannot be, None where it was."""
    try:
        write_new(out, note, mode=0o600)
    except UnsafeSettingError as exc:
        return exc.message
    return None


def _time(destruction: DestructionBody) -> str:
    return (destruction.returned_at or destruction.due_at).strftime("%Y-%m-%d")


def _show_made(made: MadeVersionBody, done: str, *, as_json: bool) -> None:
    told = {"id": made.id, "version": made.version, "marking": made.marking, "digest": made.digest}
    more = {"replaced": made.replaced} if made.act is None else {"state": made.state, "act": made.act}
    output.show_record({**told, **more}, title=done, document=made, as_json=as_json)


def _show_recall(recall: RecallBody, done: str, *, as_json: bool) -> None:
    if as_json:
        output.show_json(recall)
        return
    output.show_record({"id": recall.id, "at": recall.recalled_at}, title=done)
    rows = [(each.client, each.member, each.agency, each.read_at, each.state) for each in recall.asked]
    output.show_table(("client", "member", "agency", "first read", "destruction"), rows)
