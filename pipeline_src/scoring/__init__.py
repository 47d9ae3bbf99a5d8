"""Score raw rows with a registered model package."""
