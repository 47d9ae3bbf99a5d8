"""Measurements, which are printed and never asserted."""
