"""Sweeps: many runs, and statistics over them."""
