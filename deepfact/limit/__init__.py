"""The limit of the flow as t -> infinity, with no time stepping and with its own certificate."""

from deepfact.limit.certificate import LimitResult
from deepfact.limit.entry import flow_limit, limit_path

__all__ = ["LimitResult", "flow_limit", "limit_path"]
