"""Serve the churn model: GET /ping and POST /invocations, as SageMaker expects of a container."""

import io

import flask
import joblib
import pandas as pd

app = flask.Flask(__name__)
model = joblib.load("/opt/ml/model/model.joblib")


@app.get("/ping")
def ping() -> flask.Response:
    return flask.Response("\n", status=200)


@app.post("/invocations")
def invocations() -> flask.Response:
    rows = pd.read_csv(io.StringIO(flask.request.data.decode()), header=None, names=model.feature_names_in_)
    scores = model.predict_proba(rows)[:, 1]
    return flask.Response("".join(f"{score:.4f}\n" for score in scores), mimetype="text/csv")
