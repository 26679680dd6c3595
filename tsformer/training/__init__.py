"""Training: windows in, best weights out. The one place that knows Lightning."""
