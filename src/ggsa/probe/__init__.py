"""The embedded probe corpus."""
from ggsa.probe.sentences import *
