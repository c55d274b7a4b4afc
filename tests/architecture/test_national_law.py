"""Whoever decides asks the law in force, national caveats among it; the law of the files alone is for other questions."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What each asks of the files alone, where that is not a decision about a report that exists.
OF_FILES = {
    "usecases/steps/judging.py": "makes the law in force of it",
    "usecases/auditors/readers_on.py": "adds the caveats of the moment",
    "usecases/members/national_caveats.py": "checks caveats against it",
    "usecases/members/preview_caveats.py": "checks caveats, and adds those that are tried",
    "usecases/agreements/find_gaps.py": "others are told nothing of caveats",
    "usecases/agreements/amendment_impact.py": "others are told nothing of caveats",
    "usecases/agreements/simulate_agreement.py": "a draft has no reports",
    "usecases/posting/post_checks.py": "what a post may say",
    "usecases/requests/information_requests.py": "what a request may say",
    "usecases/posting/post_report.py": "what is registered",
    "usecases/posting/complete_upload.py": "what is registered",
    "usecases/reading/pull_report.py": "what is registered",
    "usecases/reading/read_part.py": "what is registered",
    "entrypoints/api/callers.py": "the vocabulary",
}


def test_the_law_of_the_files_is_handed_on_where_it_was_meant_and_nowhere_else() -> None:
    found = {
        str(path.relative_to(ROOT / "exchange"))
        for path in (ROOT / "exchange").rglob("*.py")
        if re.search(r"services\.law\b(?!\.)|\.law\.(?:with_national|known_to)\b", path.read_text(encoding="utf-8"))
    }

    assert found == OF_FILES.keys()
