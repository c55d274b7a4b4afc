"""The database: its driver and engine, its schema and roles, and what its faults are called."""
