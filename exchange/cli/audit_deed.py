"""`exchange audit deed`: what the exchange signed to be shown away from the log, verified with public keys alone."""

import json
from pathlib import Path
from typing import Annotated

import typer

from exchange.audit import read_deed
from exchange.cli import output
from exchange.cli.audit_group import audits
from exchange.cli.audit_keys import log_keys_of
from exchange.cli.audit_options import NodeKeyOption
from exchange.cli.instance import read_bytes
from exchange.cli.usage import UsageError
from exchange.cli.verbs import JsonOption
from exchange.kernel import InvalidError, MalformedError

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="Such as `exchange report destruction certify` wrote.")
]


@audits.command("deed")
def deed(file: FileArgument, node_key: NodeKeyOption = None, as_json: JsonOption = False) -> None:
    """Verify a signed deed, such as a certificate of destruction, with public keys alone; exit 1 where it is none."""
    if not node_key:
        raise UsageError("which node signed it? give its public key with `--node-key` (`exchange status` shows it)")
    keys, note = log_keys_of(node_key), read_bytes(file)
    try:
        read = read_deed(note, keys)
    except (InvalidError, MalformedError) as exc:
        raise InvalidError(f"`{file}` proves nothing: {exc.message}") from exc
    told = {name: value if isinstance(value, str | int) else json.dumps(value) for name, value in read.content.items()}
    output.show_record(
        {"kind": read.kind.value, **told},
        title="it was signed so",
        document={"id": str(file), "kind": read.kind.value, "content": dict(read.content)},
        as_json=as_json,
    )
