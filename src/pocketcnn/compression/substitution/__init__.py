"""Substitution: operations that a target does not support are replaced by operations that it supports."""

from pocketcnn.compression.substitution.kernels import KernelReplacement as KernelReplacement
from pocketcnn.compression.substitution.replacements import Change as Change
from pocketcnn.compression.substitution.replacements import Substitution as Substitution
from pocketcnn.compression.substitution.substitute import substitute as substitute
