"""Why something is wrong: codes with their texts, how each cause is found, its evidence and its remedy."""
