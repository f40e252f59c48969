"""The asynchronous coordinator for a running trading system."""
