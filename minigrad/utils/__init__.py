"""Tools around training: `data` feeds a model."""

from . import data
