"""Every failure of Toolbox is a ToolboxError of one sentence: what it got, what it expected, what to do."""


class ToolboxError(Exception):
    """The parent of every error that Toolbox raises on purpose."""


class UnknownComponent(ToolboxError):
    """A name that no registry holds."""


class SpecError(ToolboxError):
    """A spec, a catalog or a call that asks for something the parts cannot do."""


class WeightsError(ToolboxError):
    """A weights file that cannot be read, or does not fit its network."""


class ImageError(ToolboxError):
    """A picture that cannot be read, restored or written."""


class TrainingError(ToolboxError):
    """A training run that cannot start, go on or be resumed."""


class ConformanceError(ToolboxError):
    """A component that breaks a rule of ``toolbox.testing``."""


class PluginError(ToolboxError):
    """A plugin that cannot be imported or registers wrongly."""
