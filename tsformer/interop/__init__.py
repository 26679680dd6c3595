"""Bridges to other forecasting libraries: their data, conventions and benchmarks."""
