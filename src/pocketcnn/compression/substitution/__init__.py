"""A network made over for a target that cannot run all of it: each operation that it lacks becomes one that it has."""

from pocketcnn.compression.substitution.kernels import KernelReplacement as KernelReplacement
from pocketcnn.compression.substitution.replacements import Change as Change
from pocketcnn.compression.substitution.replacements import Substitution as Substitution
from pocketcnn.compression.substitution.substitute import substitute as substitute
