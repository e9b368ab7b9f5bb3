"""Maps the folders at the top of the repository to packages below ``ucbd``.

In code because setuptools can find subpackages only by program: nothing here is listed twice.
"""

from setuptools import find_packages, setup

FOLDERS = ("app", "cascade", "models")

packages = [
    f"ucbd.{folder}{'.' + package if package else ''}"
    for folder in FOLDERS
    for package in ("", *find_packages(folder))
]
setup(packages=packages, package_dir={f"ucbd.{folder}": folder for folder in FOLDERS})
