"""Packs a throw-away plugin into a wheel, as its build backend or called by name, and needs nothing else."""

import tomllib
from pathlib import Path
from zipfile import ZipFile


def build_wheel(wheel_directory: str, config_settings: object = None, metadata_directory: object = None):
    return write_wheel(Path.cwd(), Path(wheel_directory)).name


def build_editable(wheel_directory: str, config_settings: object = None, metadata_directory: object = None):
    return write_wheel(Path.cwd(), Path(wheel_directory), is_editable=True).name


def write_wheel(folder: Path, target: Path, *, is_editable: bool = False) -> Path:
    """Write the wheel of the module in a folder, which an editable wheel only points to."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    name = project["name"].replace("-", "_")
    info = f"{name}-1.0.dist-info"
    points = project["entry-points"]["aaow_storage"]
    module = {f"{name}.pth": f"{folder}\n"} if is_editable else {f"{name}.py": (folder / f"{name}.py").read_text()}
    files = {
        **module,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: throwaway\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "\n".join(["[aaow_storage]", *(f"{each} = {points[each]}" for each in points)]),
    }
    record = "".join(f"{each},,\n" for each in [*files, f"{info}/RECORD"])
    wheel = target / f"{name}-1.0-py3-none-any.whl"
    with ZipFile(wheel, "w") as archive:
        for each, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(each, text)
    return wheel
