"""Books: what one unit of work reads and writes of each matter, together with the audit entry."""
