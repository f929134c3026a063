"""The files of the package that pages load: they are read once, and no path of a request leads to any other."""

import hashlib
import mimetypes
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response


class StaticFiles:
    """Answers requests for the files of the folder `static`, by their paths in it."""

    def __init__(self) -> None:
        self._files = _contents_of(files("aaow_storage_studio") / "static", "")

    async def respond(self, request: Request) -> Response:
        """Answer with the file, or with 304 if the browser has it.

        Raises:
            HTTPException: there is no such file.
        """
        path = request.path_params["path"]
        if path not in self._files:
            raise HTTPException(404)
        content = self._files[path]
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"', "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=mimetypes.guess_type(path)[0])


def _contents_of(folder: Traversable, where: str) -> dict[str, bytes]:
    found = {}
    for each in folder.iterdir():
        if each.is_dir():
            found.update(_contents_of(each, f"{where}{each.name}/"))
        else:
            found[where + each.name] = each.read_bytes()
    return found
