"""The page over a month of real runs."""
