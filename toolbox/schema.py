"""JSON Schema of components and catalogs, for completion in an editor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolbox.spec import ArchitectureSpec

if TYPE_CHECKING:
    from toolbox.config import Config
    from toolbox.records import ComponentInfo
    from toolbox.registry import Registries


def catalog_schema(registries: Registries) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a catalog file."""
    entry = _inlined(ArchitectureSpec.model_json_schema(by_alias=True))
    entry["properties"] |= {
        "weights": {"type": "string", "description": "the weights file, relative to this one"},
        "plugin": {"type": "string", "description": "the plugin that the architecture belongs to"},
        "url": {"type": "string", "description": "of the paper, or of its code"},
    }
    definitions: dict[str, Any] = {
        kind: {"anyOf": [{"$ref": f"#/$defs/{kind}:{info.name}"} for info in registry] + [{"enum": _names(registry)}]}
        for kind, registry in registries.components.items()
    }
    definitions |= {
        f"{kind}:{info.name}": component_schema(info)
        for kind, registry in registries.components.items()
        for info in registry
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Toolbox catalog",
        "type": "object",
        "additionalProperties": {"$ref": "#/$defs/architecture"},
        "$defs": {"architecture": entry, **definitions},
    }


def component_schema(info: ComponentInfo) -> dict[str, Any]:
    """The JSON Schema of one component's spec: its name and its settings."""
    settings = settings_schema(info.config)
    properties = {"name": {"const": info.name}, **settings.get("properties", {})}
    if info.config.presets:
        properties["preset"] = {"enum": list(info.config.presets), "description": "published settings"}
    return {
        "type": "object",
        "description": f"{info.summary}. {info.paper}",
        "properties": properties,
        "required": ["name", *settings.get("required", [])],
        "additionalProperties": False,
    }


def settings_schema(config: type[Config]) -> dict[str, Any]:
    """The JSON Schema of a config's settings."""
    return _inlined(config.model_json_schema(by_alias=True))


def _names(registry: Any) -> list[str]:
    return [info.name for info in registry]


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with pydantic's definitions inlined, and component fields as references by kind."""
    definitions = schema.pop("$defs", {})

    def resolve(node: Any) -> Any:
        if isinstance(node, list):
            return [resolve(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "x-component" in node:
            references = [{"$ref": f"#/$defs/{kind}"} for kind in node["x-component"]]
            rest = {key: value for key, value in node.items() if key != "x-component"}
            return {"anyOf": references, **rest}
        if str(node.get("$ref", "")).startswith("#/$defs/"):
            target = definitions[node["$ref"].removeprefix("#/$defs/")]
            return resolve({**target, **{key: value for key, value in node.items() if key != "$ref"}})
        # A discriminator's mapping points to definitions that are now inlined.
        return {key: resolve(value) for key, value in node.items() if key != "discriminator"}

    inlined: dict[str, Any] = resolve(schema)
    return inlined
