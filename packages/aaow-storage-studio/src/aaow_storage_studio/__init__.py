"""The studio: a store in the browser, for people who look into it and decide what agents ask."""

from aaow_storage_studio._app import studio_app
from aaow_storage_studio._drawing.definition import Edge, Graph, Node
from aaow_storage_studio._serving import serve_studio
from aaow_storage_studio._settings import LOOPBACK, StudioSettings

__all__ = ["LOOPBACK", "Edge", "Graph", "Node", "StudioSettings", "serve_studio", "studio_app"]
