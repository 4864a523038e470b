"""Deploy: versions and aliases of models, the service, and predictions for files."""

from penstock.deploy.options import Api, api

__all__ = ["Api", "api"]
