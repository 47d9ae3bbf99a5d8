"""The HTTP endpoint: connections, dispatch, validation, faults, and the control API."""
