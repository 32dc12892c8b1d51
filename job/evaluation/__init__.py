"""How good scores are: metrics, the decision threshold, and what needs no learning."""
