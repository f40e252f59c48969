"""How far observations lie from their curve: noise along capital, scores of held-out points, intervals."""
