"""Data in: any table of series becomes a `Panel`, a panel becomes batches of windows."""
