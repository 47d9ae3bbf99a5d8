"""One task over its attempts: start, wait, resume, and what is kept in between."""
