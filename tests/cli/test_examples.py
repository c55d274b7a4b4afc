"""What `--help` shows as examples is what the command line takes, and every group of verbs has some."""

import ast
import re
import shlex
from functools import cache
from pathlib import Path

from typer import Exit
from typer.main import get_command

import exchange
from exchange.cli.examples import EXAMPLES
from exchange.cli.program import VERBS, app

WIDEST = 78  # of a terminal of 80 columns, behind the indent


@cache
def program():
    # Made once: each making reads every verb anew.
    return get_command(app)


def typed(lines):
    """The commands in `lines` as words: lines that go on put together, without comments and where output goes."""
    whole = "\n".join(lines).replace("\\\n", " ").splitlines()
    commands = [shlex.split(line.partition(" > ")[0], comments=True) for line in whole]
    return [words for words in commands if words]


def taken(words):
    """Parse `words` as the command line does, up to where the verb would act; returns the path of that verb."""
    command, context, path, rest = program(), None, ["exchange"], words[1:]
    try:
        while True:
            context = command.make_context(path[-1], rest, parent=context)
            rest = [*getattr(context, "_protected_args", ()), *context.args]
            if not rest:
                return path
            name, command, rest = command.resolve_command(context, rest)
            path.append(name)
    except Exit:
        return path


def groups(command, path=""):
    if below := getattr(command, "commands", None):
        yield path
        for name, each in below.items():
            yield from groups(each, f"{path} {name}".lstrip())


def test_examples_are_taken_and_fit_a_terminal():
    for path, lines in EXAMPLES.items():
        verbs = [" ".join(taken(words)) for words in typed(lines)]

        assert [verb for verb in verbs if f"{verb} ".startswith(f"exchange {path}".strip() + " ")] != []
        assert [line for line in lines if len(line) > WIDEST] == []


def test_every_verb_of_the_first_level_and_every_group_has_examples():
    for verb in VERBS:
        program().resolve_command(program().make_context("exchange", [], resilient_parsing=True), [verb])

    assert {*groups(program()), *VERBS} - EXAMPLES.keys() == set()


def test_help_shows_examples_as_they_are_typed(exchange, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")

    shown = exchange("report", "post", "--help").out

    assert shown.endswith("Examples:\n" + "".join(f"  {line}\n" for line in EXAMPLES["report post"]))


def test_verbs_that_messages_name_are_there(capsys):
    """A tired person types what stands in backticks; one of the doctor's mends named a verb that never was."""
    sources = [ast.parse(path.read_text()) for path in Path(exchange.__file__).parent.rglob("*.py")]
    texts = [node.value for source in sources for node in ast.walk(source) if isinstance(node, ast.Constant)]
    # `exchange object ...` are the first lines of what is signed.
    named = {
        tuple(words.split())
        for text in texts
        if isinstance(text, str)
        for words in re.findall(r"`exchange (?!object )([a-z][a-z -]*)", text)
    }

    assert len(named) > 20
    for words in sorted(named):
        assert taken(["exchange", *words, "--help"])[1] == words[0]
