"""What a client may ask of a picture: the fields of a form, checked before the worker sees them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from toolbox.close_names import did_you_mean
from toolbox.serving.refusal import Refused

Side = Annotated[int | None, Field(ge=1, le=65_535)]
SIZES = ("scale", "size", "width", "height", "long_edge")


class Options(BaseModel):
    """The fields besides the picture, as in ``toolbox restore``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: tuple[str, ...] = Field(
        default=(),
        max_length=4,
        description="A name of GET /api/models; several run in a row. By default Toolbox chooses by what it sees.",
    )
    scale: float | None = Field(default=None, gt=0, le=64, description="Output size divided by input size.")
    size: str | None = Field(default=None, pattern=r"^[1-9]\d{0,4}x[1-9]\d{0,4}$", description="WIDTHxHEIGHT, pixels.")
    width: Side = Field(default=None, description="Output width in pixels; the height follows.")
    height: Side = Field(default=None, description="Output height in pixels; the width follows.")
    long_edge: Side = Field(default=None, description="Longer side of the output in pixels.")
    sigma: float | None = Field(default=None, ge=0, le=255, description="Noise level of 255, in the place of the seen.")
    strength: float = Field(default=1.0, ge=0, le=1, description="Share of the restored picture in the result.")
    format: str | None = Field(
        default=None, pattern=r"^\w{1,12}$", description="png, jpeg, webp, tiff, ... By default as the picture."
    )
    quality: int | None = Field(default=None, ge=1, le=100, description="Quality of JPEG, WebP or AVIF.")

    @model_validator(mode="after")
    def _one_size(self) -> Options:
        given = [name for name in SIZES if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"got {' and '.join(given)}, expected one of them")
        return self


def options_of(fields: Iterable[tuple[str, str]], models: Sequence[str]) -> Options:
    """The options of a form.

    Args:
        fields: names and texts; ``model`` may come several times, and an empty text counts as not given.
        models: the names that are ready.

    Raises:
        Refused: a field is unknown, comes twice or has a wrong value, or a model is unknown.
    """
    values: dict[str, Any] = {}
    for name, text in fields:
        if not text:
            continue
        if name == "model":
            values["model"] = (*values.get("model", ()), text)
        elif name in values:
            raise Refused(422, f"got the field {name!r} twice, expected it once")
        else:
            values[name] = text
    try:
        options = Options.model_validate(values)
    except ValidationError as error:
        raise Refused(422, _sentence(error)) from None
    for name in options.model:
        if name not in models:
            raise Refused(
                422, f"unknown model {name[:80]!r}; {did_you_mean(name[:80], models) or 'see GET /api/models'}"
            )
    return options


def form_schema(picture_only: bool = False) -> dict[str, Any]:
    """The description of a form for OpenAPI."""
    own = {} if picture_only else Options.model_json_schema()["properties"]
    picture = {"type": "string", "format": "binary", "description": "The file."}
    schema = {"type": "object", "required": ["picture"], "properties": {"picture": picture} | own}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"][:1])
    if first["type"] == "extra_forbidden":
        close = did_you_mean(name[:80], Options.model_fields)
        return f"unknown field {name[:80]!r}; {close or 'expected one of ' + ', '.join(Options.model_fields)}"
    reason = re.sub(r"^Value error, ", "", first["msg"])
    return f"{name}: {reason}" if name else reason
