"""The local stand-in for the XGBoost container's algorithm mode; it runs inside a job's sandbox."""
