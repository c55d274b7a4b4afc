"""Options and arguments that verbs about reports share: under what, about what, of which marking, read why."""

from typing import Annotated

import typer

from exchange.cli.given import id_given

AgreementOption = Annotated[
    str, typer.Option("--agreement", metavar="A", help="Under which agreement.", callback=id_given)
]
ScopeOption = Annotated[str, typer.Option("--scope", metavar="S", help="Under which of its scopes.")]
KindOption = Annotated[str, typer.Option("--kind", metavar="K", help="Such as intrep.")]
TopicOption = Annotated[
    str, typer.Option("--topic", metavar="T", help="Such as cyber.apt; `exchange policy vocabulary` lists them.")
]
RegionOption = Annotated[list[str], typer.Option("--region", metavar="R", help="Such as EUR; may be repeated.")]
MarkingOption = Annotated[
    str, typer.Option("--marking", metavar="TEXT", help='Such as "NATO SECRET//REL TO GBR, NOR".')
]
PrecedenceOption = Annotated[str, typer.Option("--precedence", metavar="P", help="ROUTINE to FLASH.")]
PartMarkings = Annotated[
    list[str] | None, typer.Option("--part-marking", metavar="FILE=TEXT", help="A part's own, lower marking.")
]
MediaTypes = Annotated[
    list[str] | None, typer.Option("--media-type", metavar="FILE=TYPE", help="Where the name does not tell it.")
]
PurposeOption = Annotated[str | None, typer.Option("--purpose", metavar="P", help="Why you read (unset: your first).")]
SourcesPurposeOption = Annotated[
    str | None, typer.Option("--purpose", metavar="P", help="Why you read what it builds on (unset: your first).")
]
RequestArgument = Annotated[str, typer.Argument(metavar="REQUEST", help="The request's id.", callback=id_given)]
