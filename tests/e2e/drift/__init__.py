"""One Airflow and two local runtimes, which play two accounts."""
