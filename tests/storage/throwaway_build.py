"""The build backend of the throw-away plugins: it packs `plugin.py`, or points to it, and needs nothing."""

import tomllib
from pathlib import Path
from zipfile import ZipFile

ROOT = Path.cwd()
PROJECT = tomllib.loads(Path("pyproject.toml").read_text())["project"]
NAME = PROJECT["name"].replace("-", "_")


def build_wheel(wheel_directory: str, config_settings: object = None, metadata_directory: object = None):
    return write(wheel_directory, f"{NAME}.py", (ROOT / f"{NAME}.py").read_text())


def build_editable(wheel_directory: str, config_settings: object = None, metadata_directory: object = None):
    return write(wheel_directory, f"{NAME}.pth", f"{ROOT}\n")


def write(directory: str, file: str, content: str):
    info = f"{NAME}-1.0.dist-info"
    points = PROJECT["entry-points"]["aaow_storage"]
    files = {
        file: content,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {PROJECT['name']}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: throwaway\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "\n".join(["[aaow_storage]", *(f"{name} = {points[name]}" for name in points)]),
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    wheel = f"{NAME}-1.0-py3-none-any.whl"
    with ZipFile(Path(directory) / wheel, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    return wheel
