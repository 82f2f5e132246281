"""An API object, or a part of one."""

from typing import Any

Json = dict[str, Any]
