"""One row, one worker: Penstock's service beside the bare framework with a constant answer, and FastAPI with pandas.

Each server is pinned to one core and wrk to the other, 8 connections, alternating rounds.
Needs wrk (apt-get install wrk), and for the last peer: pip install fastapi pandas joblib.
Run: python benchmarks/service.py
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
ROUNDS, SECONDS = 3, 5

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
    frame["charge_per_month"] = pd.to_numeric(frame["TotalCharges"]) / frame["tenure"].clip(lower=1)
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
joblib.dump(model, sys.argv[2])
"""

ROW = {
    "gender": "Female", "SeniorCitizen": 0, "Partner": "Yes", "Dependents": "No", "tenure": 1, "PhoneService": "No",
    "MultipleLines": "No phone service", "InternetService": "DSL", "OnlineSecurity": "No", "OnlineBackup": "Yes",
    "DeviceProtection": "No", "TechSupport": "No", "StreamingTV": "No", "StreamingMovies": "No", "Contract": "Month-to-month",
    "PaperlessBilling": "Yes", "PaymentMethod": "Electronic check", "MonthlyCharges": 29.85, "TotalCharges": "29.85",
}  # fmt: skip


@contextlib.contextmanager
def server(command: list[str], port: int, environment: dict[str, str]):
    """Run a server on core 0 until it answers, and end it."""
    process = subprocess.Popen(["taskset", "-c", "0", *command], env=environment, stdout=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                body = json.dumps({"rows": [ROW]}).encode()
                request = urllib.request.Request(
                    f"http://127.0.0.1:{port}/predict", body, {"content-type": "application/json"}
                )
                urllib.request.urlopen(request, timeout=2).read()
                break
            time.sleep(0.1)
        else:
            raise SystemExit(f"{command} does not answer")
        yield
    finally:
        process.terminate()
        process.wait(20)


def wrk(port: int, script: Path) -> tuple[float, str]:
    """Return requests a second and the latencies."""
    command = [
        "taskset",
        "-c",
        "1",
        "wrk",
        "-t1",
        "-c8",
        f"-d{SECONDS}s",
        "--latency",
        "-s",
        str(script),
        f"http://127.0.0.1:{port}/predict",
    ]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in text, text
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    return rate, _latencies(text)


def _latencies(text: str) -> str:
    found = dict(re.findall(r"(50|99)%\s+(\S+)", text))
    return f"p50 {found['50']} p99 {found['99']}"


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        environment = {**os.environ, "PENSTOCK_STORE": str(place / "store")}
        example = HERE.parent / "examples" / "churn"
        subprocess.run(
            [sys.executable, "-m", "penstock", "run", str(example / "churn.py")],
            env=environment,
            check=True,
            capture_output=True,
        )
        script = place / "post.lua"
        script.write_text(
            f"wrk.method = 'POST'\nwrk.headers['content-type'] = 'application/json'\nwrk.body = '{json.dumps({'rows': [ROW]})}'\n"
        )
        (place / "bare.py").write_text(BARE.replace("PORT", "18101"))
        servers = {
            "bare framework, constant": ([sys.executable, str(place / "bare.py")], 18101),
            "penstock serve": ([sys.executable, "-m", "penstock", "serve", "churn", "--port", "18102"], 18102),
        }
        if all(importlib.util.find_spec(name) for name in ("fastapi", "pandas", "joblib")):
            (place / "train.py").write_text(TRAIN_GLUE)
            subprocess.run(
                [sys.executable, str(place / "train.py"), str(example / "telco.csv.gz"), str(place / "model.joblib")],
                check=True,
            )
            (place / "glue.py").write_text(GLUE.replace("PORT", "18103").replace("MODEL", str(place / "model.joblib")))
            servers["FastAPI + pandas"] = ([sys.executable, str(place / "glue.py")], 18103)
        rates: dict[str, list[float]] = {name: [] for name in servers}
        latencies: dict[str, str] = {}
        for _ in range(ROUNDS):
            for name, (command, port) in servers.items():
                with server(command, port, environment):
                    rate, latencies[name] = wrk(port, script)
                    rates[name].append(rate)
    base = statistics.median(rates["bare framework, constant"])
    for name, found in rates.items():
        rate = statistics.median(found)
        print(
            json.dumps(
                {"server": name, "requests/s": round(rate), "of bare": f"{rate / base:.1%}", "latency": latencies[name]}
            )
        )


if __name__ == "__main__":
    main()
