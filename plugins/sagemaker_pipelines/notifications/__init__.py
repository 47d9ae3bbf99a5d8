"""Notify people how a run ended."""
