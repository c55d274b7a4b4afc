"""Consents that an originator gives and takes back, and acts of whatever kind that wait for a second person."""
