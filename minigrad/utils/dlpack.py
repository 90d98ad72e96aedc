"""Memory shared with other libraries through DLPack."""

from __future__ import annotations

from ..ops import from_dlpack, to_dlpack
