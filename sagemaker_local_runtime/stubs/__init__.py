"""Functions of the user that stand in for the steps that the local runtime does not execute."""
