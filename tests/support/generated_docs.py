"""Pages that are made from the code, so that they cannot say something else.

A module in `tests/support/generated/` with `PATH` (from the root of the checkout) and `render()` registers one page.
`python -m tests.support.generated_docs --check` shows what differs and exits 1; `--write` writes.
"""

import argparse
import difflib
import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import generated

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Page:
    path: Path
    render: Callable[[], str]

    def difference(self) -> str:
        """Give the unified difference between the page as it is and as the code makes it; empty when they agree."""
        now = self.path.read_text("utf-8") if self.path.exists() else ""
        made = self.render()
        lines = difflib.unified_diff(
            now.splitlines(keepends=True), made.splitlines(keepends=True), str(self.path), "made from the code"
        )
        return "".join(lines)


def pages() -> Iterator[Page]:
    """Give every registered page."""
    for found in pkgutil.iter_modules(generated.__path__):
        module = importlib.import_module(f"{generated.__name__}.{found.name}")
        yield Page(ROOT / module.PATH, module.render)


def main(arguments: Sequence[str]) -> int:
    """Check or write every page."""
    parser = argparse.ArgumentParser(prog="generated_docs")
    wish = parser.add_mutually_exclusive_group(required=True)
    wish.add_argument("--check", action="store_true")
    wish.add_argument("--write", action="store_true")
    chosen = parser.parse_args(arguments)
    differences = [(page, text) for page in pages() if (text := page.difference())]
    if chosen.write:
        for page, _ in differences:
            page.path.parent.mkdir(parents=True, exist_ok=True)
            page.path.write_text(page.render(), "utf-8")
            print(f"wrote {page.path.relative_to(ROOT)}")
        return 0
    for _, text in differences:
        print(text)
    if differences:
        print("generated pages differ from the code: run `make docs`", file=sys.stderr)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
