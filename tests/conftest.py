from hypothesis import settings

# The same examples in every run, and no time limit for one of them: machines are slow at times.
settings.register_profile("deepfact", deadline=None, derandomize=True)
settings.load_profile("deepfact")
