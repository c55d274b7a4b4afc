"""Who may do what on PostgreSQL: three group roles, given anew by every migration.

`exchange_service` answers requests: it adds entries and can neither change nor delete one, nor write the tree; nor
can it delete a version of anything, a certificate, a consent or a report.
`exchange_sequencer` grows the tree, empties the outbox, and lets entries go that are in the archive.
`exchange_auditor` reads the log and nothing else.

A login of one's own for each (`CREATE ROLE ... LOGIN IN ROLE exchange_service`) is the operator's to make; who owns
the tables stands above all grants, so services do not log in as the owner where this is to hold. Where the migrating
user may not make roles, as on a managed database, the roles that somebody else made are given their rights, and those
that are missing are left out.
"""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.engine import Connection

SERVICE = "exchange_service"
SEQUENCER = "exchange_sequencer"
AUDITOR = "exchange_auditor"

_READ = "SELECT"
_ADD = "SELECT, INSERT"
_CHANGE = "SELECT, INSERT, UPDATE"
_END = "SELECT, INSERT, UPDATE, DELETE"

_LOG = ("log_state", "log_leaf", "log_tile", "log_checkpoint", "log_cosignature", "log_archive")

_SERVICE_EXCEPTIONS = {
    # Here alone rows end: what was sealed anew, received, delivered, or is remembered for a while.
    "alert_memory": _END,
    "blob_debris": _END,
    "idempotency": _END,
    "part_piece": _END,
    "report_part": _END,
    "subscription_delivery": _END,
    "upload_part": _END,
    "audit_entry": _ADD,
    "audit_outbox": _ADD,
    "audit_search": _READ,
    "pending_act_end": _ADD,
    "agreement_signature": _ADD,
    "agreement_signature_end": _ADD,
    "agreement_amendment": _ADD,
    "agreement_review": _ADD,
    "alert": _ADD,
    "consultation_said": _ADD,
    "duty_breach": _ADD,
    "release_class": _ADD,
    "alembic_version": _READ,
    "restore_claim": "SELECT, INSERT, UPDATE",
    "schema_floor": _READ,
    "log_cosignature": _ADD,
    "report_receipt": _ADD,
    "report_version": _ADD,
    "report_tombstone": _ADD,
    "report_past": _ADD,
    "report_notice": _ADD,
    "information_request_member": _ADD,
    "information_request_answer": _ADD,
    "stream_event": _ADD,
    "log_state": _READ,
    "log_leaf": _READ,
    "log_tile": _READ,
    "log_checkpoint": _READ,
    "log_archive": _READ,
}
"""What the service may do where that is another thing than to read, add and change."""

_SEQUENCER_GRANTS = {
    "alembic_version": _READ,
    "schema_floor": _READ,
    "member": _READ,
    "timekeeping": _READ,
    # Its write proves that the database takes writes; it changes nothing.
    "policy_state": "SELECT, UPDATE (report_seq)",
    # A trigger lets go of what is in the archive, and of nothing else.
    "audit_entry": "SELECT, INSERT, DELETE",
    "audit_outbox": "SELECT, INSERT, DELETE",
    "audit_search": _ADD,
    "log_state": "SELECT, INSERT, UPDATE",
    "log_leaf": _ADD,
    "log_tile": "SELECT, INSERT, UPDATE",
    "log_checkpoint": _ADD,
    "log_cosignature": _READ,
    "log_archive": _ADD,
}

_AUDITOR_GRANTS = dict.fromkeys(
    ("alembic_version", "schema_floor", "audit_entry", "audit_search", "report_receipt", "alert", *_LOG), _READ
)

_MAKE = """
DO $$ BEGIN
  IF (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user)
     AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
    CREATE ROLE {role} NOLOGIN;
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation OR insufficient_privilege THEN
  NULL;
END $$
"""
"""Roles belong to all databases of a server: another one's migration may be making the same one now."""


def grant_roles(connection: Connection) -> None:
    """Make the roles where that is allowed, and give each of them its rights and no others."""
    for role in (SERVICE, SEQUENCER, AUDITOR):
        connection.execute(text(_MAKE.format(role=role)))
    roles = set(connection.scalars(text("SELECT rolname FROM pg_roles WHERE rolname LIKE 'exchange\\_%'")))
    # Those of others in the same schema are not ours to give, nor to take.
    tables, sequences = _own(connection, "table"), _own(connection, "sequence")
    for role, grants in (
        (SERVICE, {table: _SERVICE_EXCEPTIONS.get(table, _CHANGE) for table in tables}),
        (SEQUENCER, _SEQUENCER_GRANTS),
        (AUDITOR, _AUDITOR_GRANTS),
    ):
        if role in roles:
            _grant(connection, role, tables, {table: grants[table] for table in tables if table in grants})
            if sequences and role != AUDITOR:
                connection.execute(text(f"GRANT USAGE ON SEQUENCE {_listed(sequences)} TO {role}"))


def _own(connection: Connection, kind: str) -> Sequence[str]:
    owned = f"SELECT {kind}name FROM pg_{kind}s WHERE schemaname = current_schema() AND {kind}owner = current_user"  # noqa: S608  names only
    return sorted(connection.scalars(text(owned)))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _grant(connection: Connection, role: str, tables: Sequence[str], grants: dict[str, str]) -> None:
    schema = connection.scalar(text("SELECT quote_ident(current_schema())"))
    connection.execute(text(f"GRANT USAGE ON SCHEMA {schema} TO {role}"))
    if tables:
        connection.execute(text(f"REVOKE ALL ON {_listed(tables)} FROM {role}"))
    for name, rights in grants.items():
        connection.execute(text(f'GRANT {rights} ON "{name}" TO {role}'))
