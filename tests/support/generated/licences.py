"""The licences of what the service is made of, from the metadata that is installed."""

from tests.support.locked import locked_packages

PATH = "docs/licences.md"

_HEAD = """\
# Licences

The exchange is under the Apache License 2.0 ([`LICENSE`](../LICENSE)). It runs on the packages below, as `requirements.txt` locks them; the licence is
what each says of itself in its metadata. `-`: of another platform than the one this page was made on. Made from the installed packages (`make docs`).

| package | version | licence |
|---|---|---|
"""


def render() -> str:
    """Return the page."""
    lines = [f"| {each.name} | {each.version} | {each.licence or '-'} |\n" for each in locked_packages()]
    return _HEAD + "".join(lines)
