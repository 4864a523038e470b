"""One worker: Penstock's service beside the bare framework with a constant answer, FastAPI with pandas, MLflow and BentoML.

Each server is pinned to one core and wrk to the other, 8 connections, alternating rounds; single rows, then 100 at once.
The peers serve a scikit-learn pipeline with LightGBM, trained on the same rows with scikit-learn's own encoders.
Needs wrk (apt-get install wrk), and for the peers an environment with: mlflow bentoml fastapi joblib lightgbm scikit-learn pandas.
With --one-model Penstock serves one LightGBM too, instead of the ensemble that its search finds.
Run: python benchmarks/service.py [--peers PYTHON] [--one-model] [--rounds 3] [--seconds 5]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent

BARE = """
import uvicorn, msgspec
answer = msgspec.json.encode({"model": {"name": "churn", "version": 1}, "predictions": [
    {"id": "0123456789ab-1", "prediction": "No", "probabilities": {"No": 0.9, "Yes": 0.1}}]})
async def app(scope, receive, send):
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]})
    await send({"type": "http.response.body", "body": answer})
uvicorn.run(app, port=PORT, log_level="warning", access_log=False, lifespan="off", loop="uvloop", http="httptools")
"""

GLUE = """
import joblib, pandas as pd, uvicorn
from fastapi import FastAPI
model = joblib.load("MODEL")
app = FastAPI()
@app.post("/predict")
def predict(body: dict):
    frame = pd.DataFrame(body["rows"])
    frame["TotalCharges"] = pd.to_numeric(frame["TotalCharges"])
    frame["charge_per_month"] = frame["TotalCharges"] / frame["tenure"].clip(lower=1)
    return {"predictions": model.predict_proba(frame)[:, 1].tolist()}
uvicorn.run(app, port=PORT, log_level="warning", access_log=False)
"""

TRAIN_GLUE = """
import sys, joblib, pandas as pd, lightgbm as lgb
from sklearn.compose import ColumnTransformer, make_column_selector as select
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.impute import SimpleImputer
frame = pd.read_csv(sys.argv[1])
target = frame.pop("Churn") == "Yes"
frame = frame.drop(columns="customerID")
frame["TotalCharges"] = pd.to_numeric(frame["TotalCharges"], errors="coerce")
frame["charge_per_month"] = frame["TotalCharges"] / frame["tenure"].clip(lower=1)
prepare = ColumnTransformer([("n", SimpleImputer(), select(dtype_include="number")), ("c", OneHotEncoder(handle_unknown="ignore"), select(dtype_exclude="number"))])
model = make_pipeline(prepare, lgb.LGBMClassifier(n_estimators=113, num_leaves=9, verbosity=-1)).fit(frame, target)
joblib.dump(model, sys.argv[2] + "/model.joblib")
import mlflow, bentoml
mlflow.sklearn.save_model(model, sys.argv[2] + "/mlflow", serialization_format="cloudpickle", pip_requirements=[])
bentoml.sklearn.save_model("glue", model)
"""

BENTO = """
import bentoml, pandas as pd

@bentoml.service(workers=1)
class Glue:
    def __init__(self):
        self.model = bentoml.sklearn.load_model("glue")

    @bentoml.api(route="/predict")
    def predict(self, rows: list[dict]) -> list[float]:
        frame = pd.DataFrame(rows)
        frame["TotalCharges"] = pd.to_numeric(frame["TotalCharges"])
        frame["charge_per_month"] = frame["TotalCharges"] / frame["tenure"].clip(lower=1)
        return self.model.predict_proba(frame)[:, 1].tolist()
"""

ROW = {
    "gender": "Female", "SeniorCitizen": 0, "Partner": "Yes", "Dependents": "No", "tenure": 1, "PhoneService": "No",
    "MultipleLines": "No phone service", "InternetService": "DSL", "OnlineSecurity": "No", "OnlineBackup": "Yes",
    "DeviceProtection": "No", "TechSupport": "No", "StreamingTV": "No", "StreamingMovies": "No", "Contract": "Month-to-month",
    "PaperlessBilling": "Yes", "PaymentMethod": "Electronic check", "MonthlyCharges": 29.85, "TotalCharges": "29.85",
}  # fmt: skip


# MLflow's model computes no features of its own: it is sent the feature too.
MLFLOW_ROW = {**ROW, "TotalCharges": 29.85, "charge_per_month": 29.85}


@contextlib.contextmanager
def server(command: list[str], url: str, body: bytes, environment: dict[str, str]):
    """Run a server on core 0 until it answers, and end it and all that it started; yields the seconds to the first answer."""
    began = time.perf_counter()
    process = subprocess.Popen(
        ["taskset", "-c", "0", *command], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        while time.perf_counter() - began < 90:
            with contextlib.suppress(OSError):
                request = urllib.request.Request(url, body, {"content-type": "application/json"})
                urllib.request.urlopen(request, timeout=5).read()
                break
            time.sleep(0.02)
        else:
            raise SystemExit(f"{command} does not answer")
        yield time.perf_counter() - began
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(15)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def wrk(url: str, script: Path, seconds: float) -> tuple[float, float, float]:
    """Return requests a second, and the median and 99 % latency in ms."""
    command = [
        "taskset",
        "-c",
        "1",
        "wrk",
        "-t1",
        "-c8",
        f"-d{seconds:g}s",
        "--timeout",
        "20s",
        "--latency",
        "-s",
        str(script),
        url,
    ]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in text, text
    found = dict(re.findall(r"(50|99)%\s+(\S+)", text))
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]), _ms(found["50"]), _ms(found["99"])


def _ms(text: str) -> float:
    units = {"us": 0.001, "ms": 1.0, "s": 1000.0}
    number, unit = re.fullmatch(r"([\d.]+)(\w+)", text).groups()
    return float(number) * units[unit]


def split(rows: list[dict]) -> bytes:
    """Write rows as MLflow reads them."""
    return json.dumps(
        {"dataframe_split": {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}}
    ).encode()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", metavar="PYTHON", help="an environment with the peers")
    parser.add_argument("--one-model", action="store_true", help="train one LightGBM, as the peers do")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        environment = {
            **os.environ, "PENSTOCK_STORE": str(place / "store"), "BENTOML_HOME": str(place / "bento"), "BENTOML_DO_NOT_TRACK": "1",
        }  # fmt: skip
        example = HERE.parent / "examples" / "churn"
        run = [sys.executable, "-m", "penstock", "run", str(example / "churn.py")]
        if asked.one_model:
            run += ["--set", "train.trials=1", "--set", 'train.learners=["lightgbm"]']
        subprocess.run(run, env=environment, check=True, capture_output=True)
        (place / "bare.py").write_text(BARE.replace("PORT", "18101"))
        ours = [sys.executable, "-m", "penstock", "serve", "churn", "--port"]
        body = lambda rows: json.dumps({"rows": rows}).encode()  # noqa: E731
        servers = {
            "bare framework, constant": (
                [sys.executable, str(place / "bare.py")],
                "http://127.0.0.1:18101/predict",
                body,
                ROW,
            ),
            "penstock, log off": ([*ours, "18102", "--log", "off"], "http://127.0.0.1:18102/predict", body, ROW),
            "penstock": ([*ours, "18103"], "http://127.0.0.1:18103/predict", body, ROW),
            "penstock, log durable": (
                [*ours, "18104", "--log", "durable"],
                "http://127.0.0.1:18104/predict",
                body,
                ROW,
            ),
        }
        if asked.peers:
            python = asked.peers
            environment["PATH"] = f"{Path(python).parent}:{environment['PATH']}"  # MLflow starts uvicorn by name
            (place / "train.py").write_text(TRAIN_GLUE)
            subprocess.run(
                [python, str(place / "train.py"), str(example / "telco.csv.gz"), str(place)],
                check=True,
                env=environment,
            )
            (place / "glue.py").write_text(GLUE.replace("PORT", "18105").replace("MODEL", str(place / "model.joblib")))
            (place / "bento_glue.py").write_text(BENTO)
            servers |= {
                "FastAPI + pandas": ([python, str(place / "glue.py")], "http://127.0.0.1:18105/predict", body, ROW),
                "BentoML": ([python, "-m", "bentoml", "serve", "bento_glue:Glue", "--port", "18106", "--working-dir", str(place)], "http://127.0.0.1:18106/predict", body, ROW),
                "MLflow": ([python, "-m", "mlflow", "models", "serve", "-m", str(place / "mlflow"), "--env-manager", "local", "--port", "18107", "--workers", "1"], "http://127.0.0.1:18107/invocations", split, MLFLOW_ROW),
            }  # fmt: skip
        for count in (1, 100):
            found: dict[str, list[tuple[float, ...]]] = {name: [] for name in servers}
            for _ in range(asked.rounds):
                for name, (command, url, write, row) in servers.items():
                    sent = write([row] * count)
                    script = place / "post.lua"
                    script.write_text(
                        f"wrk.method = 'POST'\nwrk.headers['content-type'] = 'application/json'\nwrk.body = '{sent.decode()}'\n"
                    )
                    with server(command, url, sent, environment) as start:
                        found[name].append((*wrk(url, script, asked.seconds), start))
            base = statistics.median(item[0] for item in found["bare framework, constant"])
            for name, items in found.items():
                rate, p50, p99, start = (statistics.median(column) for column in zip(*items, strict=True))
                print(json.dumps({
                    "rows": count, "server": name, "requests/s": round(rate, 1), "of bare": f"{rate / base:.1%}",
                    "p50 ms": round(p50, 2), "p99 ms": round(p99, 2), "to first answer, s": round(start, 2),
                }), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
