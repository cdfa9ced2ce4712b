"""A network in an ONNX file, run by ONNX Runtime."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from toolbox.discovery import in_use
from toolbox.errors import SpecError, WeightsError
from toolbox.files import is_file
from toolbox.programs.header import ProgramHeader, alignment_for
from toolbox.registry import Registries
from toolbox.restorer import Restorer, check_conditions, scaled_size
from toolbox.spec import ArchitectureSpec
from toolbox.weights.file import checked_spec, header_from, printable

SUFFIX = ".onnx"
TYPES = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16, "tensor(double)": torch.float64}


class OnnxRestorer(Restorer):
    """A network that ``toolbox export`` wrote to an ONNX file. It has no parameters and no parts, and cannot learn."""

    def __init__(self, path: Path, header: ProgramHeader, spec: ArchitectureSpec, dtype: torch.dtype) -> None:
        nn.Module.__init__(self)
        self.path, self.header, self.spec = path, header, spec
        self.padding = spec.padding
        self.training_record = {}
        for name in ("mean", "std"):  # only their type and device count
            self.register_buffer(name, torch.zeros(1, 1, 1, 1, dtype=dtype), persistent=False)
        self._sessions: dict[int, Any] = {}
        self._lock = threading.Lock()
        self.eval()

    @property
    def receptive_field(self) -> int | None:
        return self.header.receptive_field

    @property
    def runs_whole(self) -> bool:
        return True

    @property
    def memory_per_pixel(self) -> tuple[float, float] | None:
        return self.header.memory

    def tile_reach(self, before: tuple[int, int], after: tuple[int, int]) -> tuple[int | None, int, int | None]:
        return self.header.receptive_field, alignment_for(self.header, before, after), self.header.tile

    @property
    def sizes(self) -> str | int:
        if self.header.scale == "any":
            return "any"
        vertical, horizontal = self.header.scale
        if vertical != horizontal or vertical != int(vertical):
            return f"{vertical:g}x{horizontal:g}"
        return "same" if vertical == 1 else int(vertical)

    def output_size(
        self,
        height: int,
        width: int,
        size: tuple[int, int] | None = None,
        scale: float | tuple[float, float] | None = None,
    ) -> tuple[int, int]:
        if self.header.scale == "any":
            return super().output_size(height, width, size, scale)
        if size is not None and scale is not None:
            raise SpecError(f"got size {size} and scale {scale}, expected one of them")
        own = scaled_size(height, width, self.header.scale)
        asked = own if size is None and scale is None else tuple(size or scaled_size(height, width, scale or 1))
        if asked != own:
            fixed = "keeps the size" if self.sizes == "same" else f"has the scale {self.sizes}"
            more = self.spec.decoder.config.sizes() == "any"
            remedy = "export the network with --any-size" if more else "the network does no other"
            got = f"got output size {asked[0]}x{asked[1]} for input {height}x{width}"
            raise SpecError(f"{got}, but {self.path.name} {fixed}; {remedy}")
        return own

    def forward(
        self,
        image: Tensor,
        size: tuple[int, int] | None = None,
        scale: float | tuple[float, float] | None = None,
        **conditions: float | Tensor,
    ) -> Tensor:
        check_conditions(self.spec, conditions)
        target = self.output_size(image.shape[2], image.shape[3], size, scale)
        inputs: dict[str, Any] = {"image": image.detach().cpu().contiguous().numpy()}
        if self.header.scale == "any":
            inputs |= {"height": np.array(target[0]), "width": np.array(target[1])}
        for name, value in conditions.items():
            each = torch.as_tensor(value, dtype=image.dtype)
            if each.ndim > 1:
                raise SpecError(f"got a map for {name}, but {self.path.name} takes one number for each picture")
            inputs[name] = each.expand(len(image)).contiguous().numpy()
        try:
            (restored,) = self.session().run(None, inputs)
        # ONNX Runtime has exceptions of its own, without a common parent.
        except Exception as error:
            if "allocate" in str(error) or "bad_alloc" in str(error):
                raise MemoryError(str(error)) from error
            raise WeightsError(f"{self.path}: ONNX Runtime failed: {_reason(error)}") from error
        return torch.from_numpy(restored).to(image.device)

    def session(self) -> Any:
        """The session with as many threads as PyTorch has now."""
        count = torch.get_num_threads()
        with self._lock:
            if count not in self._sessions:
                self._sessions[count] = _session(self.path, count)
        return self._sessions[count]

    def to(self, *args: Any, **kwargs: Any) -> OnnxRestorer:
        device, dtype, _, _ = torch._C._nn._parse_to(*args, **kwargs)
        if device not in (None, self.mean.device) or dtype not in (None, self.mean.dtype):
            type_ = str(self.mean.dtype).removeprefix("torch.")
            raise SpecError(
                f"{self.path.name} computes on {self.mean.device} in {type_}; "
                "another type needs another export, with --dtype"
            )
        return self


def open_onnx(path: Path, *, registries: Registries | None = None) -> OnnxRestorer:
    """The network in an ONNX file that ``toolbox export`` wrote.

    Raises:
        WeightsError: there is no such file, it is not one of ours, it needs a plugin that is not active, or ONNX
            Runtime is not installed.
    """
    if not is_file(path):
        raise WeightsError(f"{path}: no such ONNX file")
    session = _session(path, torch.get_num_threads())
    texts: Mapping[str, str] = session.get_modelmeta().custom_metadata_map
    found = header_from(path, texts, {})
    header = ProgramHeader.from_texts(path, texts)
    spec = checked_spec(path, found, in_use(registries))
    inputs = {each.name: each for each in session.get_inputs()}
    expected = ["image", *(["height", "width"] if header.scale == "any" else []), *spec.conditions]
    if sorted(inputs) != sorted(expected) or inputs["image"].type not in TYPES:
        raise WeightsError(
            f"{path}: got inputs {printable(', '.join(inputs))}, expected {', '.join(expected)}; export it again"
        )
    restorer = OnnxRestorer(path, header, spec, TYPES[inputs["image"].type])
    restorer.training_record = found.training
    restorer._sessions[torch.get_num_threads()] = session
    return restorer


def _session(path: Path, threads: int) -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise WeightsError(
            f"{path}: an ONNX file needs ONNX Runtime, which is not installed; pip install 'toolbox-restoration[onnx]'"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors, which it also raises
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    # ONNX Runtime has exceptions of its own, without a common parent.
    except Exception as error:
        raise WeightsError(f"{path}: not a readable ONNX file: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return printable(" ".join(str(error).split()), 300)
