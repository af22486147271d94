"""What every test run shares: one hypothesis profile, so that a run is repeatable."""

from hypothesis import settings

settings.register_profile("gnetway", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("gnetway")
