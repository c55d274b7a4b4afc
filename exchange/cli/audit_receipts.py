"""`exchange audit check-receipts`: whether the log still holds what it once gave a receipt for."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from exchange.audit.verify import KnownCheckpoint
from exchange.cli import output
from exchange.cli.audit_group import audits
from exchange.cli.audit_keys import apart, known_checkpoints, log_keys_of
from exchange.cli.audit_options import CaOption, CertOption, CheckpointOption, KeyOption, ProfileOption, UrlOption
from exchange.cli.profiles import Door, endpoint_of, receipts_path
from exchange.cli.progress import ProgressBar
from exchange.cli.usage import UsageError
from exchange.cli.verbs import JsonOption
from exchange.client import ExchangeClient, KeptReceipt, read_receipts
from exchange.client.receipt_check import ProofDesk, ProofFolder, ReceiptCheck, proof_file
from exchange.kernel import InvalidError, counted, system_clock
from exchange.kernel.files import fault_in_words, keep_file

FileArgument = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="Kept receipts (unset: those of the profile).", show_default=False),
]
ProofsOption = Annotated[
    Path | None,
    typer.Option("--proofs", metavar="DIR", help="Keep the proofs here; without an address, check those kept here."),
]


@audits.command("check-receipts")
def check_receipts(
    file: FileArgument = None,
    url: UrlOption = None,
    key: KeyOption = None,
    cert: CertOption = None,
    ca: CaOption = None,
    profile: ProfileOption = None,
    proofs: ProofsOption = None,
    checkpoint: CheckpointOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check that the log proves every receipt you kept, and tells one history; exit 1 where it does not."""
    public, private = apart(key)
    door = Door(url, cert, private, ca, profile)
    keys = log_keys_of(public)
    if not keys:
        raise UsageError("whose log is it? give its public keys with `--key`: what nobody signed proves nothing")
    path = file or receipts_path(door)
    if path is None:
        raise UsageError("which receipts? name their file, or the `--profile` that kept them")
    receipts, spoiled = read_receipts(path)
    if not receipts:
        # Another file, or another program's: who runs this every night would be told for ever that all is well.
        raise InvalidError(
            f"`{path}` holds no receipt: nothing was held against the log (docs/formats.md has its form)"
        )
    newest = path.with_name(f"{path.name}.checkpoint")
    known = (*_kept_newest(newest), *known_checkpoints(checkpoint or []))
    with _desk(door, proofs) as desk:
        check = ReceiptCheck(desk, keys, system_clock())
        _prove(check, receipts, None if isinstance(desk, ProofFolder) else proofs)
        check.compare(known)
    _show(path, check, receipts, spoiled, as_json=as_json)
    if check.findings:
        raise typer.Exit(1)
    if check.newest is not None:
        _keep(newest, check.newest)


@contextmanager
def _desk(door: Door, proofs: Path | None) -> Iterator[ProofDesk]:
    if proofs is not None and not door.is_named:
        yield ProofFolder(proofs)
        return
    # The check's own answers are no receipts to check: it would never end.
    with ExchangeClient.at(replace(endpoint_of(door), receipts=None)) as client:
        yield client.log


def _prove(check: ReceiptCheck, receipts: list[KeptReceipt], proofs: Path | None) -> None:
    if proofs is not None:
        proofs.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ProgressBar("checking receipts") as bar:
        for number, receipt in enumerate(receipts, 1):
            content = check.prove(receipt)
            if content is not None and proofs is not None:
                _keep(proof_file(proofs, receipt.entry), content)
            bar(number, len(receipts))


def _kept_newest(path: Path) -> tuple[KnownCheckpoint, ...]:
    return (KnownCheckpoint(path.read_bytes(), "the last check"),) if path.exists() else ()


def _keep(path: Path, content: bytes) -> None:
    try:
        keep_file(path, content)
    except OSError as exc:
        raise InvalidError(f"`{path}` cannot be written: {fault_in_words(exc)}") from exc


def _show(path: Path, check: ReceiptCheck, receipts: list[KeptReceipt], spoiled: list[int], *, as_json: bool) -> None:
    if as_json:
        findings = [
            {"entry": None, "why": each.why}
            if each.receipt is None
            else {
                "entry": each.receipt.entry,
                "at": each.receipt.at,
                "request": each.receipt.request,
                "why": each.why,
            }
            for each in check.findings
        ]
        counts = {"id": str(path), "receipts": len(receipts), "proven": check.proven, "waiting": check.waiting}
        output.show_json({**counts, "unlinked": check.unlinked, "spoiled_lines": spoiled, "findings": findings})
        return
    output.show_record({"receipts": len(receipts), "proven": check.proven, "waiting for a place": check.waiting})
    if spoiled:
        output.warn(
            f"{counted(len(spoiled), 'line holds', 'lines hold')} no receipt, the first of them line {spoiled[0]}"
        )
    if check.unlinked:
        output.note(f"{check.unlinked + 1} checkpoints could not be compared: that is asked of the log itself")
    if not check.findings:
        output.show_line("the log holds everything it gave a receipt for")
    for each in check.findings:
        receipt = each.receipt
        named = "" if receipt is None else f"entry {receipt.entry} ({receipt.request}, {receipt.at}): "
        output.show_line(f"{named}{each.why}")
