"""Benchmarks: tasks under a stated protocol, GluonTS's metrics, resumable runs, a report."""
