"""Has ``import syntha`` find ``locule.syntha``: for tests that were written for the one, run on the other (``pytest -p alias``)."""

import importlib
import pkgutil
import sys

import locule.syntha

sys.modules["syntha"] = locule.syntha
for module in pkgutil.iter_modules(locule.syntha.__path__):
    sys.modules[f"syntha.{module.name}"] = importlib.import_module(f"locule.syntha.{module.name}")
