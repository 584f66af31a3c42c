"""Channel coupling: which channels must be pruned together, and their removal from the graph."""

from .coupling import Coupling as Coupling
from .coupling import couple as couple
from .frozen import why_frozen as why_frozen
from .groups import ChannelGroup as ChannelGroup
from .groups import channel_groups as channel_groups
from .remove import mask as mask
from .remove import remove as remove
