"""Turns through faults: many surfaces, a spoiling layer, and the stand-in's own record as the judge."""
