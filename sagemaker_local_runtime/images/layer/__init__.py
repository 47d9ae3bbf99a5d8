"""The packages that a job adds to its image: a virtual environment over the image's environment."""
