"""Superset's configuration in the tests; bed.py gives the directory."""

import os

_DIRECTORY = os.environ["BED_DIRECTORY"]

SECRET_KEY = os.environ["BED_SECRET"]
SQLALCHEMY_DATABASE_URI = "sqlite:///%s/superset.db?check_same_thread=false" % _DIRECTORY
DATA_DIR = _DIRECTORY
# Plain HTTP on this machine, and many requests a second.
TALISMAN_ENABLED = False
RATELIMIT_ENABLED = False
# The state of SQL Lab's tabs stays in the browser: written back from a busy server, it undoes a click.
FEATURE_FLAGS = {"SQLLAB_BACKEND_PERSISTENCE": False}
