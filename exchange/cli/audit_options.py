"""Options that the verbs of `exchange audit` share: which exchange, whose keys, what others kept."""

from pathlib import Path
from typing import Annotated

import typer

UrlOption = Annotated[str | None, typer.Option("--url", help="Address of the exchange [EXCHANGE_URL].")]
KeyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--key",
        metavar="KEY",
        help="A public key of the log, or a file of them; may be repeated. With --url also your private key, PEM.",
    ),
]
NodeKeyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--node-key",
        metavar="KEY",
        help="A node's public key (`exchange status` shows it), or a file; may be repeated.",
    ),
]
CertOption = Annotated[Path | None, typer.Option("--cert", help="With --url: your certificate, PEM.")]
CaOption = Annotated[Path | None, typer.Option("--ca", help="With --url: the exchange's authority, PEM.")]
ProfileOption = Annotated[str | None, typer.Option("--profile", help="A saved connection instead of --url.")]
CheckpointOption = Annotated[
    list[Path] | None,
    typer.Option("--checkpoint", metavar="FILE", help="A checkpoint that a witness or a member kept; may be repeated."),
]
