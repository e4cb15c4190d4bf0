"""How hard hypothesis looks: HYPOTHESIS_PROFILE=everyday (the default), planted or thorough.

Every failure prints what replays it (`@reproduce_failure`, and the seed), and no run is a repeat
of the last: the draws are fresh each time, on CI too.
"""

import os

from hypothesis import HealthCheck, settings

_COMMON = {
    "deadline": None,
    "print_blob": True,
    "derandomize": False,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
settings.register_profile("everyday", max_examples=25, **_COMMON)
settings.register_profile("planted", max_examples=150, **_COMMON)
settings.register_profile("thorough", max_examples=2_000, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "everyday"))
