"""Entrypoints: how one gets in. Each authenticates, parses and hands over to one use case; none decides."""
