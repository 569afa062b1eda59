"""Own the suite as a whole: the rules that every backend keeps."""

from cmp_core.testing.bounds import BoundRules
from cmp_core.testing.composition import CompositionRules
from cmp_core.testing.content import ContentRules
from cmp_core.testing.failures import FailureRules
from cmp_core.testing.static import StaticRules


class BackendContract(StaticRules, ContentRules, BoundRules, FailureRules, CompositionRules):
    """What the host and its users rely on in every backend; see `Suite` for what an author tells it."""
