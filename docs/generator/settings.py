"""Tables of settings, from the JSON Schema that pydantic makes of a config."""

from __future__ import annotations

import json
from typing import Any

from generator.markdown import table
from toolbox.config import Config
from toolbox.schema import settings_schema

BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def settings(config: type[Config], links: str = "") -> str:
    """One row for each setting.

    Args:
        config: the config's class.
        links: the path from the page to the folder of components, for links to kinds; without it, no links.
    """
    schema = settings_schema(config)
    required = schema.get("required", [])
    rows = [
        (
            f"`{key}`",
            type_text(each, links),
            "**required**" if key in required else _default(each),
            each.get("description", ""),
        )
        for key, each in schema.get("properties", {}).items()
    ]
    return table(("key", "value", "default", "description"), rows) or "It has no settings."


def type_text(schema: dict[str, Any], links: str = "") -> str:
    """The allowed values in words."""
    if "const" in schema:
        return f"`{_written(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{_written(each)}`" for each in schema["enum"])
    if "anyOf" in schema or "oneOf" in schema:
        texts = [type_text(each, links) for each in schema.get("anyOf") or schema["oneOf"]]
        return " or ".join(dict.fromkeys(texts))
    if "$ref" in schema:
        kind = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{kind}]({links}/{kind}/index.md)" if links else kind
    if schema.get("type") == "object" and "properties" in schema:
        return f"a mapping of {', '.join(f'`{key}`' for key in schema['properties'])}"
    if schema.get("type") == "array":
        if "prefixItems" in schema:
            return f"[{', '.join(type_text(each, links) for each in schema['prefixItems'])}]"
        return f"list of {type_text(schema.get('items', {}), links)}"
    names = {"integer": "integer", "number": "number", "boolean": "true or false", "string": "text", "null": "null"}
    name = names.get(schema.get("type", ""), schema.get("type", "any"))
    bounds = [f"{sign} {schema[key]:g}" for key, sign in BOUNDS.items() if key in schema]
    return " ".join([name, ", ".join(bounds)]).strip()


def _written(value: Any) -> str:
    """The value in YAML."""
    return value if isinstance(value, str) else json.dumps(value)


def _default(schema: dict[str, Any]) -> str:
    if "default" not in schema:
        return ""
    return f"`{json.dumps(schema['default'], ensure_ascii=False)}`"
