"""Predict the age of abalone with a tuned model, and serve it."""
