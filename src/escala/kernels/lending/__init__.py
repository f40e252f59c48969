"""The lending loop."""
