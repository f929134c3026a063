"""The settings of the documentation site: `nox -s docs` builds it.

The pages are plain Markdown that reads well without Sphinx. What only the site has is made by the extensions in `_ext`.
"""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "aaow-storage"
author = "the authors of aaow-storage"
copyright = "the authors of aaow-storage, WTFPL"  # noqa: A001 - Sphinx's name for it
release = version = version_of("aaow-storage")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "navigation",  # these five are in _ext
    "outside_links",
    "pictures",
    "api_pages",
    "docstrings",
]
exclude_patterns = ["_build", "_ext"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
root_doc = "index"
default_role = "py:name"  # `name` in a docstring links to what it names, if the site has it
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 140  # of the names with their modules, which are not shown
toc_object_entries_show_parents = "hide"

myst_heading_anchors = 4  # the anchors that a forge gives to headings

autodoc_typehints = "signature"
autodoc_inherit_docstrings = False  # what a class only implements is described where it is declared
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"aaow-storage {release}"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_static_path = ["_ext/static"]
html_css_files = ["site.css"]
html_theme_options = {"navigation_with_keys": True}
pygments_style = "default"
pygments_dark_style = "monokai"
