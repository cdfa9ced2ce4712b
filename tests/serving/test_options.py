"""What a form may ask: the same words as the command's, and one sentence for everything else."""

from __future__ import annotations

import re

import pytest

from toolbox.serving.options import Options, form_schema, options_of
from toolbox.serving.refusal import Refused

MODELS = ["photo", "diinn-lite"]


def test_a_form_becomes_options() -> None:
    fields = [("model", "photo"), ("model", "diinn-lite"), ("scale", "2.5"), ("strength", "0.5"), ("sigma", "")]
    assert options_of(fields, MODELS) == Options(model=("photo", "diinn-lite"), scale=2.5, strength=0.5)
    assert options_of([], MODELS) == Options()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ([("model", "phot")], "unknown model 'phot'; did you mean 'photo'?"),
        ([("model", "/etc/passwd")], "unknown model '/etc/passwd'; see GET /api/models"),
        ([("model", "http://evil.example/net.safetensors")], "unknown model 'http://evil.example/net.safetensors'"),
        ([("scal", "2")], "unknown field 'scal'; did you mean 'scale'"),
        ([("output", "/results/x")], "unknown field 'output'"),
        ([("scale", "2"), ("scale", "3")], "got the field 'scale' twice, expected it once"),
        ([("scale", "2"), ("width", "3")], "got scale and width, expected one of them"),
        ([("scale", "nan")], "scale: "),
        ([("scale", "-1")], "scale: "),
        ([("scale", "1e9")], "scale: "),
        ([("width", "0")], "width: "),
        ([("size", "10")], "size: "),
        ([("size", "0x10")], "size: "),
        ([("strength", "1.5")], "strength: "),
        ([("strength", "inf")], "strength: "),
        ([("quality", "101")], "quality: "),
        ([("format", "../png")], "format: "),
        ([("model", "photo")] * 5, "model: "),
    ],
)
def test_anything_else_is_refused(fields: list[tuple[str, str]], sentence: str) -> None:
    with pytest.raises(Refused, match="^" + re.escape(sentence)) as error:
        options_of(fields, MODELS)
    assert error.value.status == 422


def test_the_schema_names_every_field() -> None:
    schema = form_schema()["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(schema["properties"]) == {"picture", *Options.model_fields}
    assert all(each.get("description") for each in schema["properties"].values())
