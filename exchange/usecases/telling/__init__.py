"""Telling whoever waits: by streams and by webhooks, each as of the moment of telling."""
