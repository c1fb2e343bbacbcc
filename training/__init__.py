"""The model in the box: its corpus, training and evaluation. Not imported by the site."""
