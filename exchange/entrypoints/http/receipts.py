"""The receipt that every authenticated answer carries, refusals included."""

from exchange.kernel import EntryReceipt

AUDIT_HEADER = "X-Audit-Entry"
LEAF_HEADER = "X-Audit-Leaf"


def receipt_headers(receipt: EntryReceipt) -> dict[str, str]:
    """Return the two headers that name an entry: its id, and its leaf hash in base64."""
    return {AUDIT_HEADER: receipt.entry, LEAF_HEADER: receipt.leaf}
