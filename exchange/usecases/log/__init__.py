"""The log itself: its sequence, checkpoints, proofs, witnesses, alerts, archive, and how it goes on after damage."""
