"""A package, as an installed dependency brings a package of this name, which would win otherwise."""
