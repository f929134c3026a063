"""The studio: a store in the browser, for people who look into it and decide what agents ask."""

from aaow_storage_studio._app import studio_app
from aaow_storage_studio._settings import StudioSettings

__all__ = ["StudioSettings", "studio_app"]
