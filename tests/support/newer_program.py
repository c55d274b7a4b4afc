"""A newer version of the program: this one, and one migration more, in a folder of its own."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import exchange
from exchange.store import head
from tests.attacks.served import Instance

NEWER = "9001"

EXPANDS = """
    op.create_table("later", sa.Column("id", sa.String(), primary_key=True))
    op.add_column("client", sa.Column("pseudonym", sa.String(), nullable=True))
    op.add_column("report", sa.Column("weight", sa.Integer(), nullable=False, server_default="1"))
    op.create_index("report_weight", "report", ["weight"])
"""
CONTRACTS = f"""
    op.drop_table("rate_bucket")
    op.execute("UPDATE schema_floor SET revision = '{NEWER}'")
"""

_MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "{newer}"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
{deeds}
"""


@dataclass(frozen=True)
class NewerInstance(Instance):
    """The instance as the newer version runs it."""

    program: Path

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of its processes, in which `exchange` is the newer version."""
        return super().environment | newer_environment(self.program)


def newer_environment(program: Path) -> dict[str, str]:
    """Return what makes a Python process import the newer version, wherever it is started."""
    return {"PYTHONPATH": str(program), "PYTHONSAFEPATH": "1"}


def newer_program(folder: Path, deeds: str = EXPANDS) -> Path:
    """Copy this version to `folder` and give it a migration that does `deeds`."""
    root = Path(exchange.__file__).resolve().parents[1]
    for name in ("exchange", "migrations", "policies"):
        # With what is compiled already, as the copy has the same times; but not what somebody is writing at the moment.
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("*.pyc.*"))
    text = _MIGRATION.format(newer=NEWER, head=head(), deeds=deeds)
    (folder / "migrations" / "versions" / f"{NEWER}_later.py").write_text(text)
    return folder


def migrating_environment(url: str | None, program: Path | None) -> dict[str, str]:
    """Return the environment of `exchange migrate` by a version, on a database."""
    told = {} if url is None else {"EXCHANGE_DATABASE_URL": url}
    return os.environ | told | ({} if program is None else newer_environment(program))
