"""Posting: what a report must satisfy before it is one, posted at once or part by part, and by whom for whom."""
