"""Docstrings for the description of the API, where the interpreter runs without them.

`coding-gateway` starts API processes with `-OO`, which spares each of them 6 MB. Who asks for the
description gets them from the sources.
"""

import ast
import inspect
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from fastapi.routing import iter_route_contexts
from pydantic import BaseModel
from starlette.routing import BaseRoute

_OURS = ("api.", "gateway.")


def add_docstrings(schema: dict[str, Any], routes: Sequence[BaseRoute]) -> None:
    """Describe operations and models in an OpenAPI document that say nothing of themselves."""
    for route in iter_route_contexts(routes):
        operations = schema["paths"].get(getattr(route, "path_format", ""), {})
        for method in getattr(route, "methods", None) or ():
            _describe(operations.get(method.lower()), route.endpoint)
    models = {
        name: value
        for module_name, module in list(sys.modules.items())
        if module_name.startswith(_OURS)
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, BaseModel)
    }
    for name, described in schema.get("components", {}).get("schemas", {}).items():
        _describe(described, models.get(name))


def _describe(described: dict[str, Any] | None, thing: Any) -> None:
    if described is not None and thing is not None and "description" not in described:
        text = _docstring(thing)
        if text:
            described["description"] = text


def _docstring(thing: Any) -> str:
    """The docstring in the source of a function or a class; "" where there is none."""
    try:
        source = inspect.getsource(thing)
    except (OSError, TypeError):
        return ""
    definition = ast.parse(textwrap.dedent(source)).body[0]
    if not isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return ""
    return ast.get_docstring(definition) or ""
