"""Let each picture of a page lead to itself in full size: a page is narrower than most of them."""

from docutils import nodes
from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("doctree-read", fit_pictures)
    return {"parallel_read_safe": True}


def fit_pictures(app: Sphinx, doctree: nodes.document) -> None:
    """Give pictures the width of the page; Sphinx links those that have a width."""
    del app
    for image in doctree.findall(nodes.image):
        if image["uri"].endswith(".png"):
            image["width"] = "100%"
