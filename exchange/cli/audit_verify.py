"""`exchange audit verify`: try a log, wherever it is, with nothing but public keys."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from exchange.audit import LogPolicy, VerifierKey
from exchange.audit.verify import (
    Erasures,
    Expectations,
    KnownCheckpoint,
    Limits,
    Verification,
    personal_note,
    verify_export,
    verify_log,
)
from exchange.cli import output
from exchange.cli.audit_group import audits
from exchange.cli.audit_keys import (
    apart,
    ended_origins,
    keys_in_use,
    known_checkpoints,
    log_keys_of,
    origin_of,
    read_policy,
    read_state,
    write_state,
)
from exchange.cli.audit_options import (
    CaOption,
    CertOption,
    CheckpointOption,
    KeyOption,
    NodeKeyOption,
    ProfileOption,
    UrlOption,
)
from exchange.cli.audit_places import logs_at
from exchange.cli.log_here import LogHere
from exchange.cli.profiles import Door
from exchange.cli.progress import ProgressBar
from exchange.cli.usage import UsageError
from exchange.cli.verbs import DirOption, JsonOption
from exchange.client.log_export import export_lines, read_export
from exchange.crypto import VerifyingKey
from exchange.kernel import InvalidError, MalformedError, rfc3339, system_clock, to_micros

PathArgument = Annotated[
    Path | None, typer.Argument(metavar="PATH", help="A folder of tiles, or an export.", show_default=False)
]
StateOption = Annotated[
    Path | None, typer.Option("--state", metavar="FILE", help="Remembers what was verified: a log only grows.")
]
PolicyOption = Annotated[
    Path | None,
    typer.Option("--policy", metavar="FILE", help="Which witnesses must stand behind it (C2SP tlog-policy)."),
]
PendingOption = Annotated[
    int, typer.Option("--pending", metavar="SECONDS", help="How long an entry may wait for its place.", min=1)
]


_WHOSE = "whose log is it? give its public keys with `--key`: those in the log itself prove nothing"
_LINES_OF_EXPORT = (b'{"log":', b'{"complete":')


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the auditor brought along."""

    keys: tuple[VerifierKey, ...]
    known: tuple[KnownCheckpoint, ...]
    policy: LogPolicy | None
    node_keys: tuple[VerifyingKey, ...]
    limits: Limits

    def of_earlier(self, origin: str) -> "_Asked":
        """Return what of it is about a log that ended: its keys where they are given, the checkpoints kept of it."""
        keys = tuple(key for key in self.keys if key.name == origin)
        return _Asked(keys, tuple(each for each in self.known if origin_of(each.note) == origin), None, (), self.limits)

    def of_newest(self, earlier: Collection[str]) -> "_Asked":
        """Return what of it is about the log in use, where logs of these origins came before."""
        ended = {*earlier, *ended_origins(self.keys)}
        known = tuple(each for each in self.known if origin_of(each.note) not in ended)
        return replace(self, keys=keys_in_use(self.keys), known=known)

    @property
    def is_of_whole_logs(self) -> bool:
        """Return whether it takes the whole log to look at what was asked."""
        return bool(self.known or self.policy or self.node_keys)


@audits.command("verify")
def verify(
    path: PathArgument = None,
    dir: DirOption = None,  # noqa: A002
    url: UrlOption = None,
    key: KeyOption = None,
    cert: CertOption = None,
    ca: CaOption = None,
    profile: ProfileOption = None,
    state: StateOption = None,
    checkpoint: CheckpointOption = None,
    policy: PolicyOption = None,
    node_key: NodeKeyOption = None,
    pending: PendingOption = Limits().pending_seconds,
    as_json: JsonOption = False,
) -> None:
    """Verify a log from its newest checkpoint down to its last entry; exit 1 where anything was changed."""
    public, private = apart(key)
    known = (*read_state(state), *known_checkpoints(checkpoint or []))
    witnessing = read_policy(policy)
    keys = log_keys_of(public) or (() if witnessing is None else tuple(log.key for log in witnessing.logs))
    if path is not None and private is not None and not keys:
        raise InvalidError(f"`{private}` holds no key of a log: give `--key` its public keys, `log/verifier-keys`")
    node_keys = tuple(each.key for each in log_keys_of(node_key or []))
    asked = _Asked(keys, known, witnessing, node_keys, Limits(pending_seconds=pending))
    if path is not None and path.is_file():
        verifications = _verified_export(path, asked)
    else:
        with logs_at(path, dir, Door(url, cert, private, ca, profile), ended_origins(keys)) as logs:
            verifications = _verified(logs, asked)
    if not verifications:
        raise InvalidError("there is no log here yet: nothing was ever signed")
    _show(verifications, as_json=as_json)
    if not all(each.is_sound for each in verifications):
        raise typer.Exit(1)
    if state is not None:
        write_state(state, verifications, rfc3339(system_clock()))


def _verified(logs: list[LogHere], asked: _Asked) -> list[Verification]:
    # Each log has keys of its own; nodes and witnesses are asked about the one in use.
    earlier = [_origin(log) for log in logs[:-1]]
    for each in asked.known:
        if (origin := origin_of(each.note)) in set(ended_origins(asked.keys)) - set(earlier):
            output.warn(
                f"the log `{origin}`, which a recovery ended, is not here: {each.whence} was held against nothing"
            )
    if logs and (ended := set(ended_origins(asked.keys)) & {_origin(logs[-1])}):
        output.warn(f"the log `{ended.pop()}` is here, which a recovery ended: to verify it, give its own keys alone")
    of_each = [*map(asked.of_earlier, earlier), asked.of_newest(earlier)]
    # The newest first: what is erased from a log that ended, the logs after it tell.
    found: list[Verification] = []
    for log, of_it in zip(reversed(logs), reversed(of_each), strict=False):
        found.append(_verify(log, of_it, found[-1].erasures if found else {}))
    return found[::-1]


def _origin(log: LogHere) -> str:
    if log.origin:
        return log.origin
    try:
        return origin_of(log.source.newest().note)
    except MalformedError:
        return ""


def _verified_export(path: Path, asked: _Asked) -> list[Verification]:
    """Try an export in NDJSON: a whole log like any other log, a slice of one by its proofs."""
    try:
        sources = read_export(path)
    except InvalidError as exc:
        if asked.is_of_whole_logs:
            why = "`--state`, `--checkpoint`, `--policy` and `--node-key` are held against a whole log"
            raise InvalidError(f"{exc.message}; {why}") from exc
        return [_verified_slice(path, asked)]
    verifications = _verified([LogHere(source) for source in sources], asked)
    return [
        replace(found, notes=(*found.notes, personal_note(source.personal))) if source.personal else found
        for source, found in zip(sources, verifications, strict=True)
    ]


def _verified_slice(path: Path, asked: _Asked) -> Verification:
    if not asked.keys:
        raise UsageError(_WHOSE)
    # Read twice: its last line says what the others lead to.
    first = last = b""
    with path.open("rb") as file:
        for last in export_lines(file):
            first = first or last
    if not first.startswith(_LINES_OF_EXPORT):
        # CSV, CEF and OCSF are for people and other programs: nothing in them leads to what was signed.
        raise InvalidError(f"`{path}` is no export in NDJSON: that alone can be verified (`--format ndjson`)")
    with path.open("rb") as file:
        expected = Expectations(keys_in_use(asked.keys))
        return verify_export(export_lines(file), last, expected, earlier_keys=asked.keys)


def _verify(log: LogHere, asked: _Asked, erasures: Erasures) -> Verification:
    keys = asked.keys or log.keys
    if not keys:
        raise UsageError(_WHOSE)
    if not asked.keys:
        output.warn("the keys come from the instance itself: an operator who changed them is noticed with `--key` only")
    for remark in log.remarks:
        output.warn(remark)
    expected = Expectations(
        keys,
        now_micros=to_micros(system_clock()),
        known=(*log.known, *asked.known),
        limits=asked.limits,
        node_keys=asked.node_keys or log.node_keys,
        policy=asked.policy,
        erasures=erasures,
    )
    with ProgressBar("verifying") as bar:
        return verify_log(log.source, expected, bar)


def _show(verifications: list[Verification], *, as_json: bool) -> None:
    if as_json:
        shown = [as_fields(each) for each in verifications]
        output.show_json(shown[0] if len(shown) == 1 else shown)
        return
    for each in verifications:
        show_verification(each)


def show_verification(verification: Verification) -> None:
    """Print one verification: what was looked at, and what was found."""
    fields: dict[str, object] = {
        "log": verification.origin,
        "entries in the tree": verification.size,
        "root": None if verification.root is None else verification.root.hex(),
        "entries looked into": verification.entries,
        "older checkpoints": verification.older,
        "witnesses": output.listed(verification.witnesses),
    }
    output.show_record(fields)
    for note in verification.notes:
        output.note(note)
    if verification.is_sound:
        output.show_line(_verdict(verification))
    for finding in verification.findings:
        more = verification.counts[finding.step] - 1
        output.show_line(f"{finding}{f' (and {more} more)' if more else ''}")
    if not verification.is_sound:
        # Who waits for the sentence on what is whole must not take its absence for it.
        output.show_line("this does not verify: what was found stands above")


def _verdict(verification: Verification) -> str:
    if verification.root is None:
        return "all that is shown is in the log: what was left out, a slice of it cannot tell"
    if verification.size > 0 and verification.entries == 0:
        return "the tree of hashes is whole: nothing was changed, dropped, reordered"
    return "the log is whole: nothing was changed, dropped, reordered or backdated"


def as_fields(verification: Verification) -> dict[str, object]:
    """Return one verification as `--json` shows it."""
    return {
        "id": verification.origin,
        "sound": verification.is_sound,
        "size": verification.size,
        "root": None if verification.root is None else verification.root.hex(),
        "entries": verification.entries,
        "older_checkpoints": verification.older,
        "witnesses": list(verification.witnesses),
        "findings": [
            {
                "step": each.step.value,
                "place": each.place,
                "why": each.why,
                "position": each.position,
                "entry": each.entry,
                "count": verification.counts[each.step],
            }
            for each in verification.findings
        ],
        "notes": list(verification.notes),
    }
