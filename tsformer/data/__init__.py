"""Data in: any table of series becomes a `Panel`, a panel becomes batches of windows."""

from tsformer.data.datasets import (
    DatasetUnavailableError,
    dataset_info,
    list_datasets,
    load_dataset,
)

__all__ = ["DatasetUnavailableError", "dataset_info", "list_datasets", "load_dataset"]
