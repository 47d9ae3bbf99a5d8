"""The page in Airflow's UI, in a browser, over a database that holds runs of every kind."""
