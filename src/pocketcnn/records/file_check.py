"""The record of the check of an exported file, for the sidecar, the result and the command line."""

from dataclasses import asdict

from pydantic import BaseModel, ConfigDict

from pocketcnn.runtimes.file_check import FileCheck


class FileCheckRecord(BaseModel):
    """The file was run on `runtime` with `images`, and its outputs compared with the network's in PyTorch.

    `worst_error` is the largest absolute difference of an output, `bound` the largest that rounding explains. `problem` says
    what is wrong with the file, and `unchecked` why it was not run; both are "" for a file that was found right. `unseen` are
    layers on which no output depended for any image.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    runtime: str
    images: int = 0
    worst_error: float = 0.0
    bound: float = 0.0
    first_difference: str | None = None
    unseen: tuple[str, ...] = ()
    problem: str = ""
    unchecked: str = ""

    def words(self) -> str:
        """The check as a sentence."""
        if self.unchecked:
            return f"The file was not checked: {self.unchecked}."
        if self.problem:
            return f"The file does not compute what the network computes: on {self.runtime}, {self.problem}."
        seen = f" Not seen, because no image makes a difference there: {', '.join(self.unseen)}." if self.unseen else ""
        return (
            f"Checked on {self.runtime} with {self.images} images: worst error of the outputs {self.worst_error:.2g}, "
            f"where rounding explains {self.bound:.2g}.{seen}"
        )


def record_of(check: FileCheck) -> FileCheckRecord:
    """The record of a check."""
    return FileCheckRecord(**asdict(check))
