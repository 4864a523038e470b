"""Deploy: versions and aliases of models, the service, and predictions for files."""

from penstock.deploy.options import Api, api
from penstock.deploy.registry import Deployment, ModelVersion, Registry

__all__ = ["Api", "Deployment", "ModelVersion", "Registry", "api"]
