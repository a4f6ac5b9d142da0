"""Measurements of this project: `python -m benchmarks [section ...]` prints them as Markdown tables.

Every section compares things side by side in one run, so read the ratios: absolute times depend on the machine.
"""
