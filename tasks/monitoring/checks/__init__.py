"""Health: each part of the product is looked at in one way, by the checks of `registry`, whoever asks.

Readers: `sohoa doctor` and the page `/van-hanh` (all checks), the metrics and the watch (the cheap ones). Checks import
what is heavy when they are made, so that who imports the registry stays light.
"""
