"""Language models: in this process, or elsewhere and asked over HTTP."""
