"""Plugins along the pipeline: compared view by view, judged in the words of rules, with what a plugin breaks for them."""
