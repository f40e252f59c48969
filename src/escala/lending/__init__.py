"""The lending loop: collateral and debt grown step by step."""
