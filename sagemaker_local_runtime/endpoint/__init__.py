"""The HTTP endpoint: connections, dispatch, moto and the control API."""
