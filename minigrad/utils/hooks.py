"""Handles of hooks, under PyTorch's address."""

from __future__ import annotations

from ..hooks import RemovableHandle
