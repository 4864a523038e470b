"""Where artifacts lie: content-addressed blobs and the catalog that remembers every run."""

from penstock.store.store import Store, open_store

__all__ = ["Store", "open_store"]
